/** LISTEN, where it works: behind a pooler that gives each transaction another session it is silently deaf. */
import type postgres from 'postgres'
import type { Listener } from './listener.ts'

/** How long a message to oneself may take, which otherwise takes milliseconds. */
const testTimeoutMs = 3000

/** Whether a notification that one connection sends reaches the other. */
export async function receivesNotifications(
  listener: Listener,
  sender: postgres.Sql,
): Promise<boolean> {
  const channel = `authgate_test_${crypto.randomUUID().replaceAll('-', '')}`
  const heard = Promise.withResolvers<boolean>()
  const timer = setTimeout(heard.resolve, testTimeoutMs, false)
  try {
    const unlisten = await listener.listen(channel, () => heard.resolve(true))
    await sender.unsafe(`select pg_notify('${channel}', '')`)
    const answer = await heard.promise
    await unlisten()
    return answer
  } finally {
    clearTimeout(timer)
  }
}

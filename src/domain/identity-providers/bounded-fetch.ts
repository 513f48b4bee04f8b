import { AsyncLocalStorage } from 'node:async_hooks'
import type { CustomFetch } from 'openid-client'
import { readBounded } from '#/domain/outbound/read-bounded.ts'

/** More than any document of theirs holds, and little enough to be kept in memory. */
const maxAnswerBytes = 1024 * 1024

const work = new AsyncLocalStorage<{ asked: boolean }>()

/** Does something for which a provider may have to be asked; tells afterwards whether it was. */
export async function noticeRequests<T>(
  run: () => Promise<T> | T,
  onDone: (asked: boolean) => void,
): Promise<T> {
  const noticed = { asked: false }
  try {
    return await work.run(noticed, async () => run())
  } finally {
    onDone(noticed.asked)
  }
}

/** Asks a provider, and breaks off an answer that is too large. */
export const boundedFetch: CustomFetch = async (url, { body = null, signal = null, ...more }) => {
  const noticed = work.getStore()
  if (noticed) noticed.asked = true
  const answer = await fetch(url, { ...more, body, signal })
  const { status, headers } = answer
  const text = answer.body && (await readBounded(answer.body, maxAnswerBytes))
  return new Response(text, { status, headers })
}

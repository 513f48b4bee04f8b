import { AsyncLocalStorage } from 'node:async_hooks'
import type { CustomFetch } from 'openid-client'

/** More than any document of theirs holds, and little enough to be kept in memory. */
const largestAnswer = 1024 * 1024

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

/** Asks a provider, and breaks off an answer that is too large: whoever sits there can write without end. */
export const boundedFetch: CustomFetch = async (url, { body = null, signal = null, ...more }) => {
  const noticed = work.getStore()
  if (noticed) noticed.asked = true
  const answer = await fetch(url, { ...more, body, signal })
  const { status, headers } = answer
  return new Response(answer.body?.pipeThrough(atMost(largestAnswer)), { status, headers })
}

function atMost(limit: number) {
  let size = 0
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(part, controller) {
      size += part.length
      if (size > limit) controller.error(new Error('the answer is too large'))
      else controller.enqueue(part)
    },
  })
}

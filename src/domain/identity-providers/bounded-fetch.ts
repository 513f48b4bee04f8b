import type { CustomFetch } from 'openid-client'

/** More than any document of theirs holds, and little enough to be kept in memory. */
const largestAnswer = 1024 * 1024

/** Asks a provider, and breaks off an answer that is too large: whoever sits there can write without end. */
export const boundedFetch: CustomFetch = async (url, { body = null, signal = null, ...more }) => {
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

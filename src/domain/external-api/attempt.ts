import { readBounded, TooLargeError } from '#/domain/outbound/read-bounded.ts'
import type { ExternalApiResult } from '#/protocol/vocabulary.ts'
import { type ExternalPerson, parseAnswer } from './answer.ts'

export type ApiAttempt =
  | { readonly result: 'success'; readonly person: ExternalPerson }
  | {
      readonly result: Exclude<ExternalApiResult, 'success'>
      /** Present when nothing was decided and asking again may help; milliseconds that the API asks to wait. */
      readonly again?: { readonly afterMs: number | undefined }
    }

const maxAnswerBytes = 64 * 1024
const passing: readonly number[] = [429, 502, 503, 504]

/** One request, from the connection to the last byte. It never throws, and tells nothing of what was sent or answered. */
export async function attemptSignIn(
  url: URL,
  request: { headers: Record<string, string>; body: string; timeoutMs: number },
): Promise<ApiAttempt> {
  const signal = AbortSignal.timeout(request.timeoutMs)
  const response = await fetch(url, {
    method: 'POST',
    headers: request.headers,
    body: request.body,
    // Elsewhere is nobody whom the operator has named.
    redirect: 'manual',
    signal,
  }).catch(() => undefined)
  if (signal.aborted) return { result: 'timeout' }
  if (!response) return { result: 'unavailable', again: { afterMs: undefined } }
  if (passing.includes(response.status)) {
    await response.body?.cancel().catch(() => {})
    return { result: 'unavailable', again: { afterMs: retryAfterOf(response) } }
  }
  const text = await readText(response)
  if (signal.aborted) return { result: 'timeout' }
  if (text === undefined) return { result: 'unavailable' }
  return readResponse(response.status, text)
}

function readResponse(status: number, text: string): ApiAttempt {
  if (status >= 500) return { result: 'unavailable' }
  const person = parseAnswer(status, text)
  if (person === undefined) return { result: 'invalid_answer' }
  return person === 'refused' ? { result: 'refused' } : { result: 'success', person }
}

/** One that is too large is as good as none: what there is of it is no JSON. */
const readText = (response: Response): Promise<string | undefined> =>
  readBounded(response.body ?? [], maxAnswerBytes).catch((error: unknown) =>
    error instanceof TooLargeError ? '' : undefined,
  )

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterOf(response: Response): number | undefined {
  const text = response.headers.get('retry-after') ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}

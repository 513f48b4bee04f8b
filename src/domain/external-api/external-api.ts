/**
 * Sign-in by an API of the operator's: it is asked whether a username and password match, and who that is. Whoever
 * decided is not asked again; only what never reached a decision is retried, with growing, random waits. The password
 * is sent there and nowhere else: not to a log, a span or a label.
 */
import { setTimeout } from 'node:timers/promises'
import type { ExternalApiResult } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import { type ApiAttempt, attemptSignIn } from './attempt.ts'
import { type ApiProof, proofHeaders } from './prove.ts'

export interface ExternalApiOptions {
  readonly url: string
  readonly proof: ApiProof
  /** For one attempt, from the connection to the last byte. */
  readonly timeoutMs: number
  readonly retries: number
  readonly retryDelayMs: number
  readonly maxDelayMs: number
  readonly recorder: {
    externalApiAsked(result: ExternalApiResult, seconds: number): void
    externalApiRetried(): void
  }
}

export interface ExternalApi {
  /** Whose subjects it names. */
  readonly issuer: string
  ask(credentials: { username: string; password: string }): Promise<ApiAttempt>
}

/** Nobody waits longer than so many attempts may take. */
const patience = 3

/** Makes the way to the API; one call is one question, retries included. */
export function createExternalApi(options: ExternalApiOptions): ExternalApi {
  const url = new URL(options.url)
  return {
    issuer: url.origin,
    ask: (credentials) =>
      span('external_api.ask', async () => {
        const start = performance.now()
        const body = JSON.stringify(credentials)
        const answer = await askUntilDecided(url, body, options)
        options.recorder.externalApiAsked(answer.result, (performance.now() - start) / 1000)
        return answer
      }),
  }
}

async function askUntilDecided(url: URL, body: string, options: ExternalApiOptions) {
  const deadline = performance.now() + patience * options.timeoutMs
  for (let tries = 0; ; tries += 1) {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      'user-agent': 'authgate',
      ...proofHeaders(options.proof, { url, body, now: Date.now() }),
    }
    const timeoutMs = Math.min(options.timeoutMs, Math.ceil(deadline - performance.now()))
    const answer = await attemptSignIn(url, { headers, body, timeoutMs })
    if (answer.result === 'success' || !answer.again || tries >= options.retries) return answer
    const delay = delayOf(tries, answer.again.afterMs, options)
    if (performance.now() + delay >= deadline) return answer
    options.recorder.externalApiRetried()
    await setTimeout(delay)
  }
}

/** What the API asks for; otherwise anything up to a bound that doubles, so that many who wait do not come back at once. */
function delayOf(
  tries: number,
  asked: number | undefined,
  { retryDelayMs, maxDelayMs }: ExternalApiOptions,
): number {
  if (asked !== undefined) return Math.min(asked, maxDelayMs)
  return Math.random() * Math.min(maxDelayMs, retryDelayMs * 2 ** tries)
}

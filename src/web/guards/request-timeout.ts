/**
 * Answers every request within a bound: 503 when nothing else can be said by then. What the request has begun may not go
 * on behind the back of a client that was told to try again: its statements are refused a moment before.
 */
import type { MiddlewareHandler } from 'hono'
import { type Deadline, withDeadline } from '#/database/deadline.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppEnv } from '#/web/request/context.ts'

/** Between the last moment for the database and the answer. */
const answerMs = 200

export function requestTimeout(ms: number): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const deadline: Deadline = { at: performance.now() + ms - Math.min(answerMs, ms / 4) }
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      c.var.log.error({ route: c.req.path }, 'a request took too long')
      reject(tooLate())
    }, ms)
    try {
      await Promise.race([withDeadline(deadline, next), late])
      // What a streamed answer still reads is bounded read by read; what was refused reads and writes nothing more.
      deadline.at = c.res.status === 503 ? 0 : Number.POSITIVE_INFINITY
    } finally {
      clearTimeout(timer)
    }
  }
}

const tooLate = () =>
  new PageError(503, 'The request timed out', 'Please try again in a few seconds.', {
    retryAfter: 5,
  })

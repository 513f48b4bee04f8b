/**
 * Rate limits. A limiter counts requests per key and minute, in memory or in a Redis that all replicas share. When its
 * store fails it lets requests through and counts that: an outage of Redis must not become an outage of sign-in.
 */
import type { Redis } from 'ioredis'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { Database } from '#/database/client.ts'
import { writeAudit } from '#/domain/audit/audit.ts'
import type { RateLimitedEndpoint } from '#/protocol/vocabulary.ts'
import type { AppContext } from './context.ts'
import { PageError } from './page-error.ts'

interface LimiterOptions {
  /** Names the limiter's counters in its store. */
  readonly name: string
  /** The metric label: the route this limiter guards. */
  readonly endpoint?: RateLimitedEndpoint
  readonly perMinute: number
}

export interface Limiter extends LimiterOptions {
  readonly consume: (key: string) => Promise<Verdict>
}

interface Verdict {
  readonly result: 'allowed' | 'limited' | 'error'
  readonly remaining: number
  readonly resetSeconds: number
  /** True for the first refusal of a key in its window: the one that is written to the audit log. */
  readonly first: boolean
}

export interface RateLimits {
  /** Undefined when limits are switched off. */
  limiter(options: LimiterOptions): Limiter | undefined
}

const windowSeconds = 60

/** Makes limiters on one store. */
export function createRateLimits({
  enabled,
  redis,
}: {
  enabled: boolean
  redis: Redis | undefined
}): RateLimits {
  return {
    limiter(options) {
      if (!enabled) return undefined
      const store = {
        keyPrefix: `authgate:limit:${options.name}`,
        points: options.perMinute,
        duration: windowSeconds,
      }
      const limiter = redis
        ? new RateLimiterRedis({ ...store, storeClient: redis, rejectIfRedisNotReady: true })
        : new RateLimiterMemory(store)
      return {
        ...options,
        consume: (key) => consume(() => limiter.consume(key), options.perMinute),
      }
    },
  }
}

async function consume(attempt: () => Promise<RateLimiterRes>, limit: number): Promise<Verdict> {
  try {
    return verdict('allowed', await attempt(), limit)
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return verdict('limited', refusal, limit)
    return { result: 'error', remaining: 0, resetSeconds: 0, first: false }
  }
}

const verdict = (result: Verdict['result'], counted: RateLimiterRes, limit: number): Verdict => ({
  result,
  remaining: counted.remainingPoints,
  resetSeconds: Math.ceil(counted.msBeforeNext / 1000),
  first: counted.consumedPoints === limit + 1,
})

/**
 * Counts this request against a limiter; throws the 429 when it is over the limit. The key's meaning belongs to the
 * limiter (an address, a client, an account); it is neither logged nor a label.
 */
export async function enforceLimit(
  c: AppContext,
  db: Database,
  limiter: Limiter | undefined,
  key: string,
): Promise<void> {
  if (!limiter) return
  const { result, remaining, resetSeconds, first } = await limiter.consume(key)
  c.var.recorder.rateLimitChecked(limiter.endpoint, result)
  if (result === 'error') return
  // draft-ietf-httpapi-ratelimit-headers: what the policy is, and what is left of it.
  c.header('RateLimit-Policy', `"${limiter.name}";q=${limiter.perMinute};w=${windowSeconds}`)
  c.header('RateLimit', `"${limiter.name}";r=${remaining};t=${resetSeconds}`)
  if (result === 'allowed') return
  if (first) await auditRefusal(c, db, limiter)
  const wait = Math.max(1, resetSeconds)
  const words = `Please wait ${wait === 1 ? 'a second' : `${wait} seconds`}, then try again.`
  throw new PageError(429, 'Too many attempts', words, { retryAfter: wait })
}

/** One row for each key and window, whoever hammers how hard; the refusal itself never depends on it. */
async function auditRefusal(c: AppContext, db: Database, limiter: Limiter) {
  try {
    await writeAudit(db, c.var.origin, {
      type: 'RATE_LIMIT_EXCEEDED',
      at: c.var.now,
      success: false,
      resource: { type: 'limiter', id: limiter.name },
      details: { endpoint: limiter.endpoint ?? 'unknown', per_minute: limiter.perMinute },
    })
  } catch (error) {
    c.var.recorder.auditEventsDropped(1)
    c.var.log.error({ err: error }, 'a rate limit refusal could not be audited')
  }
}

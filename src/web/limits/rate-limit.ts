/**
 * Rate limits. A limiter counts per key and window, in memory or in a Redis that all replicas share. When its store
 * fails each process counts for itself: an outage of Redis must become neither an outage of sign-in nor a time without
 * limits.
 */
import type { Database } from '#/database/client.ts'
import { type AuditEvent, writeAudit } from '#/domain/audit/audit.ts'
import type { RateLimitedEndpoint } from '#/protocol/vocabulary.ts'
import { PageError } from '#/web/pages/page-error.ts'
import { networksOf } from '#/web/request/client-address.ts'
import type { AppContext } from '#/web/request/context.ts'
import {
  type Charged,
  createMemoryStore,
  createSharedStore,
  type LimitStore,
  type SharedRedis,
} from './limit-store.ts'
import { type LimiterName, limitTable, minuteMs, type RateName } from './limit-table.ts'

interface LimiterOptions {
  /** Names the limiter's counters in its store. */
  readonly name: string
  /** The metric label: the route this limiter guards. */
  readonly endpoint?: RateLimitedEndpoint
  readonly limit: number
  readonly windowMs?: number
}

export interface Limiter extends LimiterOptions {
  readonly windowMs: number
  readonly store: LimitStore
}

export interface RateLimits {
  /** Undefined when limits are switched off. */
  limiter(options: LimiterOptions): Limiter | undefined
}

export type Limiters = Readonly<Record<LimiterName, Limiter | undefined>>

/** Makes limiters on one store. */
export function createRateLimits({
  enabled,
  redis,
  now = Date.now,
}: {
  enabled: boolean
  redis: SharedRedis | undefined
  now?: () => number
}): RateLimits {
  const own = createMemoryStore(now)
  const store = redis
    ? createSharedStore(redis, own)
    : { consume: async (charges: Parameters<typeof own.consume>[0]) => own.consume(charges) }
  return {
    limiter: (options) => (enabled ? { windowMs: minuteMs, ...options, store } : undefined),
  }
}

/** All limiters of the server. */
export function createLimiters(
  limits: RateLimits,
  rates: Readonly<Record<RateName, number>>,
): Limiters {
  const make = ([name, { limit, ...row }]: [string, (typeof limitTable)[LimiterName]]) => [
    name,
    limits.limiter({ name, ...row, limit: typeof limit === 'number' ? limit : rates[limit] }),
  ]
  return Object.fromEntries(Object.entries(limitTable).map(make)) as Limiters
}

/** A limiter, and whom of those it counts. */
export interface Check {
  readonly limiter: Limiter | undefined
  /** Neither logged nor a label: an address, a client, an account. */
  readonly key: string
  /** Where it is not the limiter's own. */
  readonly limit?: number
  readonly windowMs?: number
  /** Counted also when everything else is given back. */
  readonly kept?: true
}

/** What a request was charged. */
export interface Spent {
  refund(): void
}

/** Checks for an address and, with more room, the networks around it. */
export const byNetworks = (
  limiter: Limiter | undefined,
  address: string,
  { prefix = '', ...more }: { prefix?: string } & Pick<Check, 'kept'> = {},
): Check[] =>
  limiter
    ? networksOf(address).map(({ network, factor }) => ({
        limiter,
        key: `${prefix}${network}`,
        limit: limiter.limit * factor,
        ...more,
      }))
    : []

const nothing: Spent = { refund: () => {} }

/** Counts this request against a limiter; throws the 429 when it is over the limit. */
export const enforceLimit = (
  c: AppContext,
  db: Database,
  limiter: Limiter | undefined,
  key: string,
): Promise<Spent> => enforceLimits(c, db, [{ limiter, key }])

/** Counts this request against all limiters, or, when it is over the limit of one, against none and throws the 429. */
export async function enforceLimits(
  c: AppContext,
  db: Database,
  checks: readonly Check[],
): Promise<Spent> {
  const spent = await consumeLimits(c, checks)
  if ('exceeded' in spent) throw await refuse(c, db, spent)
  return spent
}

/** A window that was full. */
export interface Exceeded {
  readonly exceeded: Limiter
  readonly limit: number
  readonly windowMs: number
  readonly count: number
  readonly waitMs: number
  /** True for the first refusal of a key in its window: the one that is written to the audit log. */
  readonly first: boolean
}

type Active = Check & { readonly limiter: Limiter }

/** The same, for those who have another way when a limit is exceeded: `spare` limits are then not counted as such. */
export async function consumeLimits(
  c: AppContext,
  checks: readonly Check[],
  spare: (limiter: Limiter) => boolean = () => false,
): Promise<Spent | Exceeded> {
  const active = checks.filter((check): check is Active => check.limiter !== undefined)
  const [first] = active
  if (!first) return nothing
  const charges = active.map(({ limiter, key, limit, windowMs, kept }) => ({
    key: `${limiter.name}:${key}`,
    limit: limit ?? limiter.limit,
    windowMs: windowMs ?? limiter.windowMs,
    ...(kept && { kept }),
  }))
  const charged = await first.limiter.store.consume(charges)
  const full = active[charged.refused ?? -1]
  if (!full || !spare(full.limiter)) count(c, active, charged)
  const [window] = charged.windows
  const { limiter, limit, windowMs } = full ?? first
  if (window)
    tell(
      c,
      { ...limiter, limit: limit ?? limiter.limit, windowMs: windowMs ?? limiter.windowMs },
      window,
    )
  if (!full) return { refund: charged.refund }
  return {
    exceeded: limiter,
    limit: limit ?? limiter.limit,
    windowMs: windowMs ?? limiter.windowMs,
    count: window?.count ?? 0,
    waitMs: window?.msLeft ?? 0,
    first: charged.refusals === 1,
  }
}

/** One check for each limiter that the request met, up to the one that refused it. */
function count(
  c: AppContext,
  active: readonly Active[],
  { refused, trouble }: Charged & { readonly trouble?: 'error' | 'fallback' },
) {
  active.slice(0, (refused ?? active.length) + 1).forEach(({ limiter }, n) => {
    const result = n === refused ? 'limited' : (trouble ?? 'allowed')
    c.var.recorder.rateLimitChecked(limiter.endpoint, result)
  })
}

/** draft-ietf-httpapi-ratelimit-headers: the policy and what remains of it. */
function tell(
  c: AppContext,
  { name, limit, windowMs }: Required<Pick<Limiter, 'name' | 'limit' | 'windowMs'>>,
  window: { readonly count: number; readonly msLeft: number },
) {
  const [left, seconds] = [Math.max(0, limit - window.count), Math.ceil(window.msLeft / 1000)]
  c.header('RateLimit-Policy', `"${name}";q=${limit};w=${Math.ceil(windowMs / 1000)}`)
  c.header('RateLimit', `"${name}";r=${left};t=${seconds}`)
}

/** Writes a refusal down, once for each key and window, and answers the 429 to throw. */
export async function refuse(c: AppContext, db: Database, exceeded: Exceeded): Promise<PageError> {
  if (exceeded.first) await auditRefusal(c, db, exceeded)
  return tooMany(exceeded.waitMs)
}

export function tooMany(waitMs: number): PageError {
  const wait = Math.max(1, Math.ceil(waitMs / 1000))
  const words = `Please wait ${wait === 1 ? 'a second' : `${wait} seconds`}, then try again.`
  return new PageError(429, 'Too many attempts', words, { retryAfter: wait })
}

/** One audit row per key and window, however many requests are refused. */
export const auditRefusal = (
  c: AppContext,
  db: Database,
  { exceeded, limit, windowMs }: Pick<Exceeded, 'exceeded' | 'limit' | 'windowMs'>,
) =>
  auditOrDrop(c, db, {
    type: 'RATE_LIMIT_EXCEEDED',
    at: c.var.now,
    success: false,
    resource: { type: 'limiter', id: exceeded.name },
    details: {
      endpoint: exceeded.endpoint ?? 'unknown',
      ...(windowMs === minuteMs ? { per_minute: limit } : { limit, seconds: windowMs / 1000 }),
    },
  })

/** Writes an event of a refusal, which itself never depends on it. */
export async function auditOrDrop(c: AppContext, db: Database, event: AuditEvent): Promise<void> {
  try {
    await writeAudit(db, c.var.origin, event)
  } catch (error) {
    c.var.recorder.auditEventsDropped(1)
    c.var.log.error({ err: error }, 'a rate limit refusal could not be audited')
  }
}

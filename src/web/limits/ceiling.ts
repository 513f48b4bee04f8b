/**
 * The ceiling over all requests of an address and its networks. It guards the machine, so it is high, kept in the memory
 * of this process and asked before anything else. Whoever proves to be a client, or shows a valid access token, is taken
 * off it: a server behind one address may speak for thousands of people.
 */
import type { MiddlewareHandler } from 'hono'
import type { Database } from '#/database/client.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { type Charge, type Charged, createMemoryStore } from './limit-store.ts'
import { auditRefusal, byNetworks, type Limiter, tooMany } from './rate-limit.ts'

interface CeilingOptions {
  readonly db: Database
  readonly requests: Limiter | undefined
  /** For one access token. */
  readonly tokens: Limiter | undefined
  readonly now: () => number
  /** Paths that are answered from memory and polled by monitoring. */
  readonly isFree: (path: string) => boolean
}

export function requestCeiling(options: CeilingOptions): MiddlewareHandler<AppEnv> {
  const { requests, tokens, isFree, now } = options
  const store = createMemoryStore(now)
  const check = async (c: AppContext, limiter: Limiter, charges: Charge[]) => {
    const charged = store.consume(charges)
    if (charged.refused !== undefined)
      throw await refuse(c, options.db, { limiter, charges, charged })
    return charged
  }
  return async (c, next) => {
    if (!requests || isFree(c.req.path)) return next()
    const charged = await check(c, requests, chargesOf(requests, c.var.address))
    c.var.recorder.rateLimitChecked(requests.endpoint, 'allowed')
    c.set('underCeiling', {
      refund: charged.refund,
      async countToken(id) {
        charged.refund()
        if (tokens) await check(c, tokens, [{ ...tokens, key: `${tokens.name}:${id}` }])
      },
    })
    return next()
  }
}

const chargesOf = (limiter: Limiter, address: string): Charge[] =>
  byNetworks(limiter, address).map(({ key, limit = limiter.limit }) => ({
    key,
    limit,
    windowMs: limiter.windowMs,
  }))

async function refuse(
  c: AppContext,
  db: Database,
  { limiter, charges, charged }: { limiter: Limiter; charges: Charge[]; charged: Charged },
) {
  c.var.recorder.rateLimitChecked(limiter.endpoint, 'limited')
  const { limit, windowMs } = charges[charged.refused ?? 0] ?? limiter
  if (charged.refusals === 1) await auditRefusal(c, db, { exceeded: limiter, limit, windowMs })
  return tooMany(charged.windows[0]?.msLeft ?? 0)
}

/** For requests that have authenticated and count against limits of their own. */
export const exemptFromCeiling = (c: AppContext): void => c.var.underCeiling?.refund()

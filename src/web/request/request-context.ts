/** What handlers read of the request besides itself. */
import type { BlockList } from 'node:net'
import type { MiddlewareHandler } from 'hono'
import type { RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import type { Log } from '#/telemetry/log.ts'
import { clientAddress } from './client-address.ts'
import type { AppEnv } from './context.ts'

interface ContextOptions {
  readonly trustedProxies: BlockList
  /** Whether audit events are written at all. */
  readonly auditing: boolean
  readonly log: Log
  readonly repeatedEvents: RepeatedEvents
  readonly clock: () => Date
}

export function requestContext({
  trustedProxies,
  auditing,
  log,
  repeatedEvents,
  clock,
}: ContextOptions): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const address = clientAddress(c, trustedProxies)
    const userAgent = c.req.header('user-agent')
    c.set('log', log)
    c.set('repeatedEvents', repeatedEvents)
    c.set('now', clock())
    c.set('address', address)
    c.set('origin', {
      enabled: auditing,
      ip: address,
      traceId: c.var.traceId,
      ...(userAgent !== undefined && { userAgent }),
    })
    await next()
  }
}

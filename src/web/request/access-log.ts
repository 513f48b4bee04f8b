/** One line for each request: enough to see who did what, and nothing that a request says in its query or body. */
import type { MiddlewareHandler } from 'hono'
import type { Log } from '#/telemetry/log.ts'
import type { AppEnv } from './context.ts'
import { matchedRoute } from './request-telemetry.ts'

/** Logs each request once it is answered; those at the paths of `except` are left out. */
export function accessLog(log: Log, except: readonly string[]): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const start = performance.now()
    await next()
    if (except.includes(c.req.path)) return
    const { address, clientId, userId, signedIn } = c.var
    const line = {
      method: c.req.method,
      route: matchedRoute(c),
      status: c.res.status,
      ms: Math.round((performance.now() - start) * 10) / 10,
      address,
      client: clientId,
      user: signedIn?.user.id ?? userId,
    }
    log.info(line, 'request')
  }
}

/** Tells a wrong method from a wrong address: 405 with `Allow` (RFC 9110 §15.5.6) where other methods have a route. */
import type { Hono, MiddlewareHandler } from 'hono'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'

const methods = ['GET', 'POST', 'PUT', 'DELETE'] as const

/** Mounted after all routes: no route has matched. */
export function methodNotAllowed(app: Hono<AppEnv>): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const allowed = allowedAt(app, c.req.path)
    if (allowed.length === 0 || allowed.some((method) => method === c.req.method)) return next()
    return refuse(c, allowed)
  }
}

/** RFC 9110 §9.3.2: HEAD changes nothing, so it is no GET where a GET issues codes, starts a sign-in or ends a session. */
export const refuseHead =
  (app: Hono<AppEnv>): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const allowed = c.req.method === 'HEAD' ? allowedAt(app, c.req.path) : []
    return allowed.length > 0 ? refuse(c, allowed) : next()
  }

const allowedAt = (app: Hono<AppEnv>, path: string) =>
  methods.filter((method) => hasRoute(app, method, path))

function refuse(c: AppContext, allowed: readonly string[]): never {
  c.header('allow', allowed.join(', '))
  throw new PageError(
    405,
    'Method not allowed',
    `This address accepts ${allowed.join(' and ')} only.`,
  )
}

/** Whether a handler, not just middleware, answers the method there. */
const hasRoute = (app: Hono<AppEnv>, method: string, path: string) =>
  app.router.match(method, path)[0].some(([[, route]]) => route.method !== 'ALL')

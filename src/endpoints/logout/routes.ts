/** Signing out: by our own button (POST /logout), and sent here by a client (/oauth/logout). */
import { Hono, type MiddlewareHandler } from 'hono'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { askAgain, getEndSession, postEndSession, postSignOut } from './end-session.ts'
import { endThisSession } from './end-this-session.ts'
import type { LogoutOptions } from './options.ts'

export function logoutRoutes(options: LogoutOptions): Hono<AppEnv> {
  const { sessions, csrf } = options
  return new Hono<AppEnv>()
    .post('/logout', sessions.optionalUser, nothingToEnd, csrf.require, (c) =>
      postLogout(c, options),
    )
    .get('/oauth/logout', sessions.optionalUser, (c) => getEndSession(c, options))
    .post('/oauth/logout', postEndSession)
    .post('/oauth/logout/answer', sessions.optionalUser, csrf.requireOr(askAgain), (c) =>
      postSignOut(c, options),
    )
}

/** Already signed out, in another tab for instance. */
const nothingToEnd: MiddlewareHandler<AppEnv> = async (c, next) =>
  c.var.signedIn ? next() : c.redirect('/login', 303)

async function postLogout(c: AppContext, options: LogoutOptions) {
  await endThisSession(c, options)
  return c.redirect('/login', 303)
}

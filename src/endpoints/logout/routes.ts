/** POST /logout: ends the session of this browser. Signing out twice, or without a session, changes and counts nothing. */
import { Hono } from 'hono'
import type { Database } from '#/database/client.ts'
import { endWithAudit } from '#/domain/sessions/end-with-audit.ts'
import { endSession } from '#/domain/sessions/sessions.ts'
import type { SessionCookies } from '#/web/browser-session.ts'
import type { AppContext, AppEnv } from '#/web/context.ts'
import type { Csrf } from '#/web/csrf.ts'
import type { SessionAccess } from '#/web/current-user.ts'
import { recordEndedSessions } from '#/web/record-ended.ts'

export interface LogoutOptions {
  readonly db: Database
  readonly cookies: SessionCookies
  readonly sessions: SessionAccess
  readonly csrf: Csrf
}

export function logoutRoutes(options: LogoutOptions): Hono<AppEnv> {
  const { sessions, csrf } = options
  return new Hono<AppEnv>().post('/logout', sessions.optionalUser, csrf.require, (c) =>
    postLogout(c, options),
  )
}

async function postLogout(c: AppContext, { db, cookies }: LogoutOptions) {
  const { signedIn, now, origin, recorder } = c.var
  if (signedIn) {
    const { session, user: actor } = signedIn
    const end = (tx: Database) => endSession(tx, session.id, { reason: 'logout', now })
    recordEndedSessions(
      recorder,
      await endWithAudit(db, end, { type: 'LOGOUT', origin, actor, now }),
    )
  }
  cookies.clear(c)
  return c.redirect('/login', 303)
}

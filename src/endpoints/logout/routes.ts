/** POST /logout: ends the session of this browser. Signing out twice, or without a session, changes and counts nothing. */
import { Hono } from 'hono'
import type { Database } from '#/database/client.ts'
import { writeAudit } from '#/domain/audit/audit.ts'
import { endSession } from '#/domain/sessions/sessions.ts'
import type { SessionCookies } from '#/web/browser-session.ts'
import type { AppContext, AppEnv } from '#/web/context.ts'
import type { Csrf } from '#/web/csrf.ts'
import type { SessionAccess } from '#/web/current-user.ts'

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
  const { signedIn, now, origin } = c.var
  if (signedIn) {
    const { session, user } = signedIn
    const ended = await db.transaction(async (tx) => {
      const ended = await endSession(tx, session.id, { reason: 'logout', now })
      const resource = { type: 'session', id: session.id } as const
      if (ended) await writeAudit(tx, origin, { type: 'LOGOUT', at: now, actor: user, resource })
      return ended
    })
    if (ended) c.var.recorder.sessionEnded(ended.reason, ended.seconds)
  }
  cookies.clear(c)
  return c.redirect('/login', 303)
}

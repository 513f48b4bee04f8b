import type { Database } from '#/database/client.ts'
import { endSession } from '#/domain/access-revocation/end-sessions.ts'
import { endWithAudit } from '#/domain/access-revocation/end-with-audit.ts'
import type { AppContext } from '#/web/request/context.ts'
import { recordEndedSessions } from '#/web/sessions/record-ended.ts'
import type { SessionCookies } from '#/web/sessions/session-cookies.ts'

/** Ends the session of this browser, if it has one; a second time, or without one, nothing changes and nothing counts. */
export async function endThisSession(
  c: AppContext,
  { db, cookies }: { db: Database; cookies: SessionCookies },
): Promise<void> {
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
}

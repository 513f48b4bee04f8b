import type { Database } from '#/database/client.ts'
import type { EndedSession } from '#/domain/access-revocation/end-sessions.ts'
import { endWithAudit } from '#/domain/access-revocation/end-with-audit.ts'
import type { AppContext } from '#/web/request/context.ts'
import { actedBy } from './current-user.ts'
import { recordEndedSessions } from './record-ended.ts'

/** Ends other sessions with the signed-in user as actor, and counts those that actually ended. */
export async function endSessionsFromAfar(
  c: AppContext,
  db: Database,
  end: (tx: Database) => Promise<readonly EndedSession[]>,
): Promise<readonly EndedSession[]> {
  const ended = await endWithAudit(db, end, { type: 'SESSION_REVOKED', ...actedBy(c) })
  recordEndedSessions(c.var.recorder, ended)
  return ended
}

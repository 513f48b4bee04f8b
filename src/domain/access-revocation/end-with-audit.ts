import type { Database } from '#/database/client.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import type { EndedSession } from './end-sessions.ts'

export interface SessionEndEvent {
  /** Signed out here, signed out from afar, or ended by a deadline or a check. */
  readonly type: 'LOGOUT' | 'SESSION_REVOKED' | 'SESSION_ENDED'
  readonly origin: AuditOrigin
  readonly actor?: { readonly id: string; readonly username: string }
  readonly now: Date
}

/** Ends sessions and writes one event for each that really ended, in one transaction. */
export function endWithAudit(
  db: Database,
  end: (tx: Database) => Promise<readonly EndedSession[]>,
  event: SessionEndEvent,
): Promise<readonly EndedSession[]> {
  return db.transaction(async (tx) => {
    const ended = await end(tx)
    await auditEnds(tx, ended, event)
    return ended
  })
}

/** Writes those events where a transaction is under way. */
export const auditEnds = (
  tx: Database,
  ended: readonly EndedSession[],
  { type, origin, actor, now }: SessionEndEvent,
): Promise<void> =>
  writeAudit(
    tx,
    origin,
    ...ended.map(({ id, userId, reason, tokens }) => ({
      type,
      at: now,
      actor: actor ?? (userId === null ? undefined : { id: userId }),
      resource: { type: 'session', id } as const,
      details: { reason, ...(tokens.access > 0 && { access_ended: tokens.access }) },
    })),
  )

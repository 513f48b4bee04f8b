import { and, asc, inArray } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { isPast } from '#/database/in-time.ts'
import { tokens } from '#/database/schema/tokens.ts'
import type { Undone } from '#/domain/attempts/attempts.ts'
import { type AuditEventType, type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import { whereNotRevoked } from './token-state.ts'

/** Tokens of which nobody can have heard. */
export interface UnheardTokens {
  readonly familyId: string
  readonly clientId: string
  /** Whose row the statement that stores them locks before anything else. */
  readonly userId: string
  readonly ids: readonly string[]
  /** After which that statement stores nothing, by the database's clock. */
  readonly deadline: Date
  /** What the audit log says of their being stored. */
  readonly event: AuditEventType
  readonly origin: AuditOrigin
  /** Gives back what was used up for them, unless somebody else has had to do with it since. */
  restore(tx: Database): Promise<boolean>
}

/**
 * Deletes the tokens if they were stored and nothing has happened to them. The user's lock is waited for first: a statement
 * that is still running holds it since before its deadline was compared, so past the deadline this lock means there is none.
 */
export async function undoTokens(tx: Database, unheard: UnheardTokens): Promise<Undone> {
  await lockUser(tx, unheard.userId)
  const over = await isPast(tx, unheard.deadline)
  const which = inArray(tokens.id, [...unheard.ids])
  const stored = await tx
    .select({ id: tokens.id })
    .from(tokens)
    .where(and(which, whereNotRevoked))
    .orderBy(asc(tokens.id))
    .for('update')
  if (stored.length < unheard.ids.length || !(await unheard.restore(tx)))
    return { restored: false, over }
  await tx.delete(tokens).where(which)
  // What the server does by itself comes from nowhere.
  await writeAudit(tx, { enabled: unheard.origin.enabled }, eventOf(unheard))
  return { restored: true, over }
}

const eventOf = ({ event, clientId, userId, familyId }: UnheardTokens) => ({
  type: event,
  at: new Date(),
  success: false,
  actor: { id: userId },
  clientId,
  resource: { type: 'token_family', id: familyId } as const,
  details: { reason: 'answer_lost' },
})

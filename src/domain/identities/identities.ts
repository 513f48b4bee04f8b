/** Who users are elsewhere: what is linked to an account, and how a link ends. */
import { and, asc, eq, ne } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { identities } from '#/database/schema/identities.ts'
import { users } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import { span } from '#/telemetry/tracing.ts'

export type Identity = typeof identities.$inferSelect

/** More links than one account is ever shown. */
const mostShown = 100

/** What is linked to an account, the oldest first. */
export const listIdentities = (db: Database, userId: string): Promise<Identity[]> =>
  db
    .select()
    .from(identities)
    .where(eq(identities.userId, userId))
    .orderBy(asc(identities.createdAt), asc(identities.id))
    .limit(mostShown)

/**
 * Ends a link of this account: `unknown` when it has none by that id, `last_way_in` when nobody could sign in to the
 * account without it. The lock orders two removals, so that they cannot each leave the other's link as the last.
 */
export function removeIdentity(
  db: Database,
  { id, userId }: { readonly id: string; readonly userId: string },
  by: {
    readonly actor: { readonly id: string; readonly username: string }
    readonly origin: AuditOrigin
    readonly now: Date
  },
): Promise<Identity | 'unknown' | 'last_way_in'> {
  return span('identities.remove', () =>
    db.transaction(async (tx) => {
      await lockUser(tx, userId)
      const own = and(eq(identities.id, id), eq(identities.userId, userId))
      const [found] = await tx.select({ id: identities.id }).from(identities).where(own)
      if (!found) return 'unknown'
      if (!(await hasOtherWayIn(tx, { id, userId }))) return 'last_way_in'
      const [removed] = await tx.delete(identities).where(own).returning()
      if (!removed) return 'unknown'
      await writeAudit(tx, by.origin, {
        type: 'IDENTITY_UNLINKED',
        at: by.now,
        actor: by.actor,
        resource: { type: 'user', id: userId },
        details: { identity: id, source: removed.source },
      })
      return removed
    }),
  )
}

async function hasOtherWayIn(tx: Database, { id, userId }: { id: string; userId: string }) {
  const [user] = await tx
    .select({ passwordHash: users.passwordHash })
    .from(users)
    .where(eq(users.id, userId))
  if (user && user.passwordHash !== null) return true
  const others = await tx
    .select({ id: identities.id })
    .from(identities)
    .where(and(eq(identities.userId, userId), ne(identities.id, id)))
    .limit(1)
  return others.length > 0
}

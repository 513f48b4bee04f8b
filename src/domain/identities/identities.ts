/** Who users are elsewhere: what is linked to an account, and how a link ends. */
import { and, asc, eq, ne } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { identities } from '#/database/schema/identities.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type EndedSession, endSessionsOfUser } from '#/domain/access-revocation/end-sessions.ts'
import { type ByUser, writeAudit } from '#/domain/audit/audit.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import { span } from '#/telemetry/tracing.ts'

export type Identity = typeof identities.$inferSelect

/** More links than one account is ever shown. */
export const maxIdentities = 100

/** What is linked to an account, the oldest first. */
export const listIdentities = (db: Database, userId: string): Promise<Identity[]> =>
  db
    .select()
    .from(identities)
    .where(eq(identities.userId, userId))
    .orderBy(asc(identities.createdAt), asc(identities.id))
    .limit(maxIdentities)

export interface RemovedIdentity {
  readonly identity: Identity
  /** What had been begun that way: a session knows its source, not which of several links of that source it was. */
  readonly sessions: readonly EndedSession[]
}

/**
 * Removes a link, and ends the sessions that began with it except `keepSession`, in case another person now controls
 * the linked account. `unknown`: there is no such link; `last_way_in`: the user could no longer sign in. The lock
 * orders two removals, so that they cannot each leave the other's link as the last.
 */
export function removeIdentity(
  db: Database,
  {
    id,
    userId,
    keepSession,
  }: { readonly id: string; readonly userId: string; readonly keepSession: string },
  by: ByUser,
): Promise<RemovedIdentity | 'unknown' | 'last_way_in'> {
  return span('identities.remove', () =>
    db.transaction(async (tx) => {
      await lockUser(tx, userId)
      const own = and(eq(identities.id, id), eq(identities.userId, userId))
      const [found] = await tx.select({ id: identities.id }).from(identities).where(own)
      if (!found) return 'unknown'
      if (!(await hasOtherWayIn(tx, { id, userId }))) return 'last_way_in'
      const [identity] = await tx.delete(identities).where(own).returning()
      if (!identity) return 'unknown'
      const { source } = identity
      const end = { reason: 'revoked', source, now: by.now, except: keepSession } as const
      const sessions = await endSessionsOfUser(tx, userId, end)
      await writeAudit(tx, by.origin, {
        type: 'IDENTITY_UNLINKED',
        at: by.now,
        actor: by.actor,
        resource: { type: 'user', id: userId },
        details: { identity: id, source, sessions_ended: sessions.length },
      })
      return { identity, sessions }
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

/** A user as the provider identifies them. */
export type Known = Pick<Identity, 'source' | 'issuer' | 'subject' | 'label'>

const isThe = ({ source, issuer, subject }: Known) =>
  and(eq(identities.source, source), eq(identities.issuer, issuer), eq(identities.subject, subject))

/**
 * The user linked to this identity, with the row locked: users first, in the order that everything locks them.
 * Undefined when there is no link (any more). For a disabled user nothing changes.
 */
export async function findByIdentity(
  tx: Database,
  who: Known,
  now: Date,
): Promise<User | undefined> {
  const [known] = await tx
    .select({ id: identities.id, user: users })
    .from(identities)
    .innerJoin(users, eq(users.id, identities.userId))
    .where(isThe(who))
    .for('no key update', { of: users })
  if (!known?.user.isActive) return known?.user
  const used = await tx
    .update(identities)
    .set({ lastUsedAt: now, label: who.label })
    .where(eq(identities.id, known.id))
    .returning({ id: identities.id })
  return used.length > 0 ? known.user : undefined
}

/** The user that the identity is linked to, if any. */
export async function findIdentityOwner(tx: Database, who: Known): Promise<string | undefined> {
  const found = tx.select({ userId: identities.userId }).from(identities).where(isThe(who))
  return (await found)[0]?.userId
}

/** Links an identity to a user; throws a unique violation when it is linked already. */
export async function insertIdentity(
  tx: Database,
  { userId, now, ...who }: Known & { readonly userId: string; readonly now: Date },
): Promise<void> {
  await tx.insert(identities).values({ ...who, userId, createdAt: now, lastUsedAt: now })
}

/** Taking access away from a user, whoever does it. What ends is told by the table in `endings.ts`. */
import { and, eq, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type AuditEventType, type By, type ByUser, writeAudit } from '#/domain/audit/audit.ts'
import { refusalOf, type UserChangeRefusal } from '#/domain/users/change-refusal.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import { whereActiveUser } from '#/domain/users/user-state.ts'
import { span } from '#/telemetry/tracing.ts'
import type { EndedSession } from './end-sessions.ts'
import { type EndedAccess, endOfUser } from './endings.ts'
import { renewSession } from './renew-session.ts'

/** What a user has lost, for the caller to record after the commit. */
export interface EndedOfUser extends EndedAccess {
  readonly result: 'success'
  readonly user: User
  readonly sessions: readonly EndedSession[]
}

export type UserEnd = EndedOfUser | { readonly result: UserChangeRefusal }

/** Disables an account: its sessions and tokens end with it. */
export function disableUser(db: Database, id: string, by: ByUser): Promise<UserEnd> {
  return span('users.disable', () =>
    db.transaction(async (tx) => {
      const refusal = await refusalOf(tx, id, by)
      if (refusal) return { result: refusal }
      const [user] = await tx
        .update(users)
        .set({ isActive: false, updatedAt: by.now })
        .where(and(eq(users.id, id), whereActiveUser))
        .returning()
      if (!user) return { result: 'no_change' }
      const ended = await endOfUser(tx, 'disabled', { userId: id, now: by.now })
      return audited(tx, 'USER_DISABLED', { ...ended, user }, by)
    }),
  )
}

/** Deletes an account with its consents and tokens; the rows of its sessions stay in the ledger, without a name. */
export function deleteUser(db: Database, id: string, by: ByUser): Promise<UserEnd> {
  return span('users.delete', () =>
    db.transaction(async (tx) => {
      const refusal = await refusalOf(tx, id, by)
      if (refusal) return { result: refusal }
      await holdClientsOf(tx, id)
      const [user] = await tx
        .update(users)
        .set({ isActive: false, updatedAt: by.now })
        .where(eq(users.id, id))
        .returning()
      if (!user) return { result: 'unknown_user' }
      const ended = await endOfUser(tx, 'deleted', { userId: id, now: by.now })
      await tx.delete(users).where(eq(users.id, id))
      return audited(tx, 'USER_DELETED', { ...ended, user }, by)
    }),
  )
}

export interface PasswordChange {
  readonly id: string
  readonly passwordHash: string
  /** Whether it is a temporary password: the next sign-in asks for another. */
  readonly mustChange?: boolean
  /** The hash that the old password was checked against: if it is no longer the current one, nothing changes. */
  readonly verified?: string | null
  /** The current session and its new id, so that a cookie stolen before the change is worthless. */
  readonly renew?: { readonly from: string; readonly to: string }
}

/** Sets a new password. All tokens and sessions end, but for the one that is renewed. */
export function changePassword(
  db: Database,
  change: PasswordChange,
  by: By,
): Promise<(EndedOfUser & { readonly renewed: boolean }) | { readonly result: 'no_change' }> {
  const { id, passwordHash, mustChange = false, verified, renew } = change
  return span('users.change_password', () =>
    db.transaction(async (tx) => {
      await lockUser(tx, id)
      const [user] = await tx
        .update(users)
        .set({ passwordHash, passwordMustChange: mustChange, updatedAt: by.now })
        .where(
          and(
            eq(users.id, id),
            eq(users.authSource, 'local'),
            verified === undefined
              ? undefined
              : sql`${users.passwordHash} is not distinct from ${verified}`,
          ),
        )
        .returning()
      if (!user) return { result: 'no_change' }
      const { now } = by
      const replaced = renew ? await renewSession(tx, renew, now) : []
      const others = { userId: id, now, except: renew?.to }
      const ended = await endOfUser(tx, 'password_changed', others)
      const sessions = [...replaced, ...ended.sessions]
      const type = by.actor?.id === id ? 'USER_PASSWORD_CHANGED' : 'USER_PASSWORD_RESET'
      return {
        ...(await audited(tx, type, { ...ended, user, sessions }, by)),
        renewed: replaced.some((session) => session.reason === 'replaced'),
      }
    }),
  )
}

/** Disconnects every app of a user: tokens end, and what has not become tokens yet; consents and sessions stay. */
export function endAllTokens(db: Database, { actor, origin, now }: ByUser) {
  return span('users.end_tokens', () =>
    db.transaction(async (tx) => {
      await lockUser(tx, actor.id)
      const ended = await endOfUser(tx, 'apps_disconnected', { userId: actor.id, now })
      const { tokens, deviceCodes } = ended
      if (tokens.access + tokens.refresh + deviceCodes > 0)
        await writeAudit(tx, origin, {
          type: 'TOKEN_REVOKED',
          at: now,
          actor,
          resource: { type: 'user', id: actor.id },
          details: {
            reason: tokens.reason,
            access_ended: tokens.access,
            refresh_ended: tokens.refresh,
            device_codes_ended: deviceCodes,
          },
        })
      return ended
    }),
  )
}

/**
 * Locks the clients that lose their owner when the user is deleted, before any token: ending a client locks in the
 * same order, so that the two cannot deadlock.
 */
const holdClientsOf = (tx: Database, ownerId: string) =>
  tx
    .select({ clientId: clients.clientId })
    .from(clients)
    .where(eq(clients.ownerId, ownerId))
    .orderBy(clients.clientId)
    .for('update')

async function audited(
  tx: Database,
  type: AuditEventType,
  ended: Omit<EndedOfUser, 'result'>,
  { actor, origin, now }: By,
): Promise<EndedOfUser> {
  const { user, sessions, tokens } = ended
  await writeAudit(tx, origin, {
    type,
    at: now,
    actor,
    resource: { type: 'user', id: user.id },
    details: {
      username: user.username,
      sessions_ended: sessions.length,
      access_ended: sessions.reduce((sum, session) => sum + session.tokens.access, tokens.access),
      refresh_ended: tokens.refresh,
    },
  })
  return { ...ended, result: 'success' }
}

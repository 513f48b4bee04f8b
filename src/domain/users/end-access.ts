/**
 * Disabling and deleting users, and changing passwords. The user's row is locked first (see lockUser); sessions,
 * tokens and unredeemed codes end in the same transaction, so that no gauge or request sees one change without the
 * other.
 */
import { and, eq, or, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type AuditEventType, type By, type ByUser, writeAudit } from '#/domain/audit/audit.ts'
import { discardAuthorizationCodes } from '#/domain/authorization-codes/authorization-codes.ts'
import { revokeConsentsOfUser } from '#/domain/consents/consents.ts'
import { discardApprovedDeviceCodes } from '#/domain/device-codes/device-codes.ts'
import { renewSession } from '#/domain/sessions/renew-session.ts'
import { type EndedSession, endSessionsOfUser } from '#/domain/sessions/sessions.ts'
import { type RevokedTokens, revokeTokensOfUser } from '#/domain/tokens/revoke-tokens.ts'
import { span } from '#/telemetry/tracing.ts'
import { lockUser } from './lock-user.ts'

/** What ended, for the caller to record after the commit. */
export interface EndedAccess {
  readonly user: User
  readonly sessions: readonly EndedSession[]
  readonly tokens: RevokedTokens
  /** Device codes that were approved and not yet redeemed. */
  readonly deviceCodes: number
  /** Consents that were in force. */
  readonly consents: number
}

/** Admins alone decide, and never about themselves: so there is always one left, who has decided last. */
export type UserChangeRefusal = 'unknown_user' | 'self' | 'not_admin' | 'no_change'

/** Disables an account: its sessions and tokens end with it. */
export function disableUser(
  db: Database,
  id: string,
  by: ByUser,
): Promise<EndedAccess | UserChangeRefusal> {
  return span('users.disable', () =>
    db.transaction(async (tx) => {
      const refusal = await refusalOf(tx, id, by)
      if (refusal) return refusal
      const [user] = await tx
        .update(users)
        .set({ isActive: false, updatedAt: by.now })
        .where(and(eq(users.id, id), eq(users.isActive, true)))
        .returning()
      if (!user) return 'no_change'
      const ended = await endAll(tx, user, by)
      await audit(tx, 'USER_DISABLED', ended, by)
      return ended
    }),
  )
}

/** Enables an account again. What had ended stays ended. */
export function enableUser(db: Database, id: string, by: By): Promise<User | 'no_change'> {
  return span('users.enable', () =>
    db.transaction(async (tx) => {
      const [user] = await tx
        .update(users)
        .set({ isActive: true, updatedAt: by.now })
        .where(and(eq(users.id, id), eq(users.isActive, false)))
        .returning()
      if (!user) return 'no_change'
      await writeAudit(tx, by.origin, {
        type: 'USER_ENABLED',
        at: by.now,
        actor: by.actor,
        resource: { type: 'user', id },
      })
      return user
    }),
  )
}

/** Deletes an account with its consents and tokens; the rows of its sessions stay in the ledger, without a name. */
export function deleteUser(
  db: Database,
  id: string,
  by: ByUser,
): Promise<EndedAccess | UserChangeRefusal> {
  return span('users.delete', () =>
    db.transaction(async (tx) => {
      const refusal = await refusalOf(tx, id, by)
      if (refusal) return refusal
      await holdClientsOf(tx, id)
      const [user] = await tx
        .update(users)
        .set({ isActive: false, updatedAt: by.now })
        .where(eq(users.id, id))
        .returning()
      if (!user) return 'unknown_user'
      const ended = await endAll(tx, user, by)
      const consents = await revokeConsentsOfUser(tx, id, by.now)
      await tx.delete(users).where(eq(users.id, id))
      await audit(tx, 'USER_DELETED', ended, by)
      return { ...ended, consents }
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
): Promise<(EndedAccess & { readonly renewed: boolean }) | 'no_change'> {
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
      if (!user) return 'no_change'
      const reason = 'password_changed'
      const replaced = renew ? await renewSession(tx, renew, by.now) : []
      const others = { reason, now: by.now, except: renew?.to } as const
      const sessions = [...replaced, ...(await endSessionsOfUser(tx, id, others))]
      const tokens = await revokeTokensOfUser(tx, id, { reason, now: by.now })
      const deviceCodes = await discardCodes(tx, id, by.now)
      const ended = { user, sessions, tokens, deviceCodes, consents: 0 }
      await audit(
        tx,
        by.actor?.id === id ? 'USER_PASSWORD_CHANGED' : 'USER_PASSWORD_RESET',
        ended,
        by,
      )
      return { ...ended, renewed: replaced.some((session) => session.reason === 'replaced') }
    }),
  )
}

/** Disconnects every app of a user: tokens end, and what has not become tokens yet; consents and sessions stay. */
export function endAllTokens(db: Database, { actor, origin, now }: ByUser) {
  return span('users.end_tokens', () =>
    db.transaction(async (tx) => {
      await lockUser(tx, actor.id)
      const tokens = await revokeTokensOfUser(tx, actor.id, { reason: 'user_request', now })
      const deviceCodes = await discardCodes(tx, actor.id, now)
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
      return { tokens, deviceCodes, consents: 0 }
    }),
  )
}

async function endAll(tx: Database, user: User, { now }: ByUser): Promise<EndedAccess> {
  const end = { reason: 'account_inactive', now } as const
  const sessions = await endSessionsOfUser(tx, user.id, end)
  const tokens = await revokeTokensOfUser(tx, user.id, end)
  const deviceCodes = await discardCodes(tx, user.id, now)
  return { user, sessions, tokens, deviceCodes, consents: 0 }
}

async function discardCodes(tx: Database, userId: string, now: Date) {
  await discardAuthorizationCodes(tx, { userId })
  return discardApprovedDeviceCodes(tx, { userId }, now)
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

/**
 * Locks the user and all active admins in one order, so that two admins cannot disable each other at the same moment:
 * the second one is no longer an admin by then.
 */
export async function refusalOf(
  tx: Database,
  id: string,
  { actor }: ByUser,
): Promise<UserChangeRefusal | undefined> {
  if (actor.id === id) return 'self'
  const activeAdmin = and(eq(users.role, 'admin'), eq(users.isActive, true))
  const locked = await tx
    .select({ id: users.id })
    .from(users)
    .where(or(eq(users.id, id), activeAdmin))
    .orderBy(users.id)
    .for('update')
  return locked.some((admin) => admin.id === actor.id) ? undefined : 'not_admin'
}

const audit = (
  tx: Database,
  type: AuditEventType,
  { user, sessions, tokens }: EndedAccess,
  { actor, origin, now }: By,
) =>
  writeAudit(tx, origin, {
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

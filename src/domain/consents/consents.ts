/** Consents: what a user approved for a client, at most one in force for each pair. */
import { and, desc, eq, isNotNull, isNull, lt, max, type Placeholder, sql } from 'drizzle-orm'
import { deleteBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { type Placeholders, prepared } from '#/database/statements/prepared.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { discardAuthorizationCodes } from '#/domain/authorization-codes/authorization-codes.ts'
import { discardApprovedDeviceCodes } from '#/domain/device-codes/device-codes.ts'
import { type RevokedTokens, revokeTokensOfConsent } from '#/domain/tokens/revoke-tokens.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import { isScopeWithin, mergeScopes, scopeWords } from '#/protocol/scopes.ts'
import { span } from '#/telemetry/tracing.ts'

/** The scope in force, or undefined when the user has not consented (any more). */
export async function findConsentedScope(
  db: Database,
  userId: string,
  clientId: string,
): Promise<string | undefined> {
  return (await selectScope(db, { userId, clientId }))[0]?.scope
}

const inForce = (userId: string | Placeholder, clientId: string | Placeholder) =>
  and(eq(consents.userId, userId), eq(consents.clientId, clientId), isNull(consents.revokedAt))

const selectScope = prepared(
  (db, { userId, clientId }: Placeholders<{ userId: string; clientId: string }>) =>
    db.select({ scope: consents.scope }).from(consents).where(inForce(userId, clientId)),
)

export interface Approval {
  readonly user: { readonly id: string; readonly username: string }
  readonly clientId: string
  readonly scope: string
  readonly now: Date
}

/**
 * Saves an approval on the caller's transaction. True when the state changed: a first consent, or more scopes than
 * before. Narrower requests never shrink what is in force.
 */
export async function grantConsent(
  tx: Database,
  approval: Approval,
  origin: AuditOrigin,
): Promise<boolean> {
  const { user, clientId, scope, now } = approval
  const inserted = await tx
    .insert(consents)
    .values({ userId: user.id, clientId, scope, grantedAt: now })
    .onConflictDoNothing()
    .returning({ id: consents.id })
  if (inserted.length === 0 && !(await widen(tx, approval))) return false
  await writeAudit(tx, origin, {
    type: 'USER_AUTHORIZATION_GRANTED',
    at: now,
    actor: user,
    clientId,
    details: { scope },
  })
  return true
}

async function widen(tx: Database, { user, clientId, scope, now }: Approval): Promise<boolean> {
  const [current] = await tx.select().from(consents).where(inForce(user.id, clientId)).for('update')
  if (!current || isScopeWithin(scopeWords(scope), current.scope)) return false
  await tx
    .update(consents)
    .set({ scope: mergeScopes(current.scope, scope), grantedAt: now })
    .where(eq(consents.id, current.id))
  return true
}

interface Revocation {
  readonly id: string
  readonly user: { readonly id: string; readonly username: string }
  readonly admin?: { readonly id: string; readonly username: string }
  readonly now: Date
}

export interface RevokedConsent {
  readonly clientId: string
  readonly tokens: RevokedTokens
  /** Device codes that were approved and not yet redeemed. */
  readonly deviceCodes: number
}

/**
 * Takes back a user's consent, and with it the client's tokens; undefined when there was none in force. `admin` is who
 * did it, if it was not the user.
 */
export function revokeConsent(
  db: Database,
  { id, user, admin, now }: Revocation,
  origin: AuditOrigin,
): Promise<RevokedConsent | undefined> {
  return span('consents.revoke', () =>
    db.transaction(async (tx) => {
      await lockUser(tx, user.id)
      await waitForClient(tx, id)
      const [revoked] = await tx
        .update(consents)
        .set({ revokedAt: now })
        .where(and(eq(consents.id, id), eq(consents.userId, user.id), isNull(consents.revokedAt)))
        .returning({ clientId: consents.clientId })
      if (!revoked) return undefined
      const of = { userId: user.id, clientId: revoked.clientId }
      const tokens = await revokeTokensOfConsent(tx, of, now)
      await discardAuthorizationCodes(tx, of)
      const deviceCodes = await discardApprovedDeviceCodes(tx, of, now)
      await writeAudit(tx, origin, {
        type: 'USER_AUTHORIZATION_REVOKED',
        at: now,
        actor: admin ?? user,
        clientId: revoked.clientId,
        resource: admin ? { type: 'user', id: user.id } : { type: 'consent', id },
        details: {
          ...(admin && { consent: id }),
          access_ended: tokens.access,
          refresh_ended: tokens.refresh,
        },
      })
      return { clientId: revoked.clientId, tokens, deviceCodes }
    }),
  )
}

/** Locks the client first, as ending all of a client's access does, so that the two cannot deadlock. */
const waitForClient = (tx: Database, id: string) =>
  tx
    .select({ clientId: clients.clientId })
    .from(consents)
    .innerJoin(clients, eq(clients.clientId, consents.clientId))
    .where(eq(consents.id, id))
    .for('key share', { of: clients })

/** Takes back all consents of a user; answers how many were in force. */
export async function revokeConsentsOfUser(
  tx: Database,
  userId: string,
  now: Date,
): Promise<number> {
  const revoked = await tx
    .update(consents)
    .set({ revokedAt: now })
    .where(and(eq(consents.userId, userId), isNull(consents.revokedAt)))
    .returning({ id: consents.id })
  return revoked.length
}

/** Takes back all consents to a client; answers how many were in force. */
export async function revokeConsentsOfClient(
  tx: Database,
  clientId: string,
  now: Date,
): Promise<number> {
  const revoked = await tx
    .update(consents)
    .set({ revokedAt: now })
    .where(and(eq(consents.clientId, clientId), isNull(consents.revokedAt)))
    .returning({ id: consents.id })
  return revoked.length
}

/** Deletes up to `limit` consents that were taken back before the given moment; the audit log keeps what it says of them. */
export const deleteWithdrawnConsents = (
  db: Database,
  before: Date,
  limit: number,
): Promise<number> =>
  deleteBatch(db, consents, {
    key: consents.id,
    where: and(isNotNull(consents.revokedAt), lt(consents.revokedAt, before)),
    order: consents.revokedAt,
    limit,
  })

/** When the client was last given a token for the user, as far as tokens are kept. */
const lastUse = (db: Database) =>
  db
    .select({ at: max(tokens.createdAt) })
    .from(tokens)
    .where(and(eq(tokens.userId, consents.userId), eq(tokens.clientId, consents.clientId)))

/** As many as are ever listed. */
export const maxConsents = 500

/** A user's consents in force, latest first. */
export const listConsents = (db: Database, userId: string) =>
  db
    .select({
      id: consents.id,
      clientName: clients.name,
      clientUri: clients.uri,
      scope: consents.scope,
      grantedAt: consents.grantedAt,
      lastUsedAt: sql<Date | null>`(${lastUse(db)})`.mapWith(tokens.createdAt),
    })
    .from(consents)
    .innerJoin(clients, eq(clients.clientId, consents.clientId))
    .where(and(eq(consents.userId, userId), isNull(consents.revokedAt)))
    .orderBy(desc(consents.grantedAt))
    .limit(maxConsents)

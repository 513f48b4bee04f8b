/**
 * Access and refresh tokens as rows. A family is everything that one approval led to; it ends as a whole when a code
 * or refresh token of it is used twice. Signing happens elsewhere, after the rows have committed.
 */
import { and, eq, gt, inArray, isNotNull, isNull, lt, or } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { type User, users } from '#/database/schema/users.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { sha256 } from '#/protocol/secrets.ts'

export type { Token } from '#/database/schema/tokens.ts'

/** What the tokens of one response have in common. */
export interface TokenGrant {
  readonly familyId: string
  readonly clientId: string
  readonly userId: string
  readonly sessionId: string | null
  readonly authTime: Date
}

export interface TokenLifetimes {
  readonly accessMs: number
  readonly refreshMs: number
}

export interface NewTokens {
  readonly grant: TokenGrant
  /** Of the access token. */
  readonly scope: string
  /** The refresh token to store with it, if any, and its scope. */
  readonly refresh?: { readonly token: string; readonly scope: string } | undefined
  readonly lifetimes: TokenLifetimes
  readonly now: Date
}

/**
 * Inserts the rows of a response and answers the access token's, with its user. The user, client and consent are
 * checked after the insert: its foreign keys wait for whoever is taking access away (see lockUser), and the check
 * then sees what they did. Throws `invalid_grant`, which must roll the transaction back.
 */
export async function insertTokens(
  tx: Database,
  issue: NewTokens,
): Promise<{ access: Token; user: User }> {
  const { grant, now, lifetimes, refresh } = issue
  const row = (
    type: Token['type'],
    scope: string,
    lifetimeMs: number,
    secretHash: string | null,
  ) => ({
    familyId: grant.familyId,
    clientId: grant.clientId,
    userId: grant.userId,
    sessionId: grant.sessionId,
    authTime: grant.authTime,
    id: crypto.randomUUID(),
    type,
    scope,
    secretHash,
    createdAt: now,
    expiresAt: new Date(now.getTime() + lifetimeMs),
  })
  const [access] = await tx
    .insert(tokens)
    .values([
      row('access', issue.scope, lifetimes.accessMs, null),
      ...(refresh
        ? [row('refresh', refresh.scope, lifetimes.refreshMs, sha256(refresh.token))]
        : []),
    ])
    .returning()
  const user = await findEntitledUser(tx, grant)
  if (!access || !user) throw new OAuthError('invalid_grant', 'the grant has been withdrawn')
  return { access, user }
}

/** The user, provided that they are active, the client is, and the consent is in force. */
async function findEntitledUser(
  tx: Database,
  { userId, clientId }: TokenGrant,
): Promise<User | undefined> {
  const rows = await tx
    .select({ user: users })
    .from(users)
    .innerJoin(
      consents,
      and(
        eq(consents.userId, users.id),
        eq(consents.clientId, clientId),
        isNull(consents.revokedAt),
      ),
    )
    .innerJoin(clients, and(eq(clients.clientId, clientId), eq(clients.status, 'active')))
    .where(and(eq(users.id, userId), eq(users.isActive, true)))
  return rows[0]?.user
}

export async function findRefreshToken(tx: Database, token: string): Promise<Token | undefined> {
  return (
    await tx
      .select()
      .from(tokens)
      .where(eq(tokens.secretHash, sha256(token)))
  )[0]
}

/** Revokes the refresh token for its successor, if this call is the first to use it. */
export async function rotateRefreshToken(
  tx: Database,
  { token, clientId, now }: { token: string; clientId: string; now: Date },
): Promise<Token | undefined> {
  const rows = await tx
    .update(tokens)
    .set({ revokedAt: now, revocationReason: 'rotation' })
    .where(
      and(
        eq(tokens.secretHash, sha256(token)),
        eq(tokens.clientId, clientId),
        isNull(tokens.revokedAt),
        gt(tokens.expiresAt, now),
      ),
    )
    .returning()
  return rows[0]
}

/** An access token that would be accepted, with its user: the database decides, never a cache. */
export async function findLiveAccessToken(
  db: Database,
  id: string,
  now: Date,
): Promise<{ token: Token; user: User } | undefined> {
  const rows = await db
    .select({ token: tokens, user: users })
    .from(tokens)
    .innerJoin(users, and(eq(users.id, tokens.userId), eq(users.isActive, true)))
    .innerJoin(clients, and(eq(clients.clientId, tokens.clientId), eq(clients.status, 'active')))
    .where(
      and(
        eq(tokens.id, id),
        eq(tokens.type, 'access'),
        isNull(tokens.revokedAt),
        gt(tokens.expiresAt, now),
      ),
    )
  return rows[0]
}

/**
 * Deletes up to `limit` tokens that expired, or were revoked, before the given moment; revoked refresh tokens are kept
 * that long to tell a replay from a made-up one.
 */
export async function deleteDeadTokens(db: Database, before: Date, limit: number): Promise<number> {
  const dead = db
    .select({ id: tokens.id })
    .from(tokens)
    .where(
      or(
        and(isNull(tokens.revokedAt), lt(tokens.expiresAt, before)),
        and(isNotNull(tokens.revokedAt), lt(tokens.revokedAt, before)),
      ),
    )
    .limit(limit)
    .for('update', { skipLocked: true })
  return (await db.delete(tokens).where(inArray(tokens.id, dead)).returning({ id: tokens.id }))
    .length
}

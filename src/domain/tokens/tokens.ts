/**
 * Access and refresh tokens as rows. A family is everything that one approval led to; it ends as a whole when a code
 * or refresh token of it is used twice. Signing happens elsewhere, after the rows have committed.
 */
import {
  and,
  eq,
  gt,
  isNotNull,
  isNull,
  lt,
  or,
  type Placeholder,
  type SQL,
  sql,
} from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { deleteBatch } from '#/database/delete-batch.ts'
import { rowInserter } from '#/database/insert-row.ts'
import { prepared, type Slots } from '#/database/prepared.ts'
import { authorizationCodes } from '#/database/schema/authorization-codes.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { type User, users } from '#/database/schema/users.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'

export type { Token } from '#/database/schema/tokens.ts'

/** What was granted, whoever redeems it: the columns that tokens of one family have in common. */
type TokenGrant = Pick<
  Token,
  'familyId' | 'clientId' | 'userId' | 'sessionId' | 'authTime' | 'resources' | 'details'
>

export interface TokenLifetimes {
  readonly accessMs: number
  readonly refreshMs: number
  /** Counted from the first refresh token: no rotation reaches beyond it (RFC 9700 §2.2.2). */
  readonly familyMs: number
}

interface NewRefreshToken {
  readonly token: string
  readonly scope: string
  /** Of the token it replaces; undefined for the first of its family. */
  readonly familyExpiresAt: Date | null | undefined
  /** Set when it is bound to a key: refresh tokens of public clients are (RFC 9449 §5). */
  readonly dpopJkt: string | null
}

export interface NewTokens {
  readonly grant: TokenGrant
  /** Of the access token. */
  readonly scope: string
  /** What the access token is for, if less than what was granted (RFC 8707 §2.2). */
  readonly resources?: readonly string[] | undefined
  /** The key that the access token is bound to. */
  readonly dpopJkt: string | null
  /** The refresh token to store with it, if any. */
  readonly refresh?: NewRefreshToken | undefined
  readonly lifetimes: TokenLifetimes
  readonly now: Date
}

/** Inserts the rows of a response; answers the access token's. The caller holds the lock of `entitle…`. */
export async function insertTokens(tx: Database, issue: NewTokens): Promise<Token> {
  const { refresh } = issue
  const access = accessRow(issue)
  await Promise.all([
    insertToken(tx, access),
    refresh && insertToken(tx, refreshRow(issue, refresh)),
  ])
  return access
}

const insertToken = rowInserter(tokens)

/** The row of an access token. */
export const accessRow = ({
  grant,
  scope,
  resources,
  dpopJkt,
  lifetimes,
  now,
}: NewTokens): Token => ({
  ...common(grant, now),
  type: 'access',
  scope,
  resources: [...(resources ?? grant.resources)],
  dpopJkt,
  secretHash: null,
  familyExpiresAt: null,
  expiresAt: later(now, lifetimes.accessMs),
})

function refreshRow({ grant, lifetimes, now }: NewTokens, refresh: NewRefreshToken): Token {
  const familyExpiresAt = refresh.familyExpiresAt ?? later(now, lifetimes.familyMs)
  const expiresAt = later(now, lifetimes.refreshMs)
  return {
    ...common(grant, now),
    type: 'refresh',
    scope: refresh.scope,
    resources: grant.resources,
    dpopJkt: refresh.dpopJkt,
    secretHash: sha256(refresh.token),
    familyExpiresAt,
    expiresAt: expiresAt < familyExpiresAt ? expiresAt : familyExpiresAt,
  }
}

const common = (grant: TokenGrant, now: Date) => ({
  id: crypto.randomUUID(),
  familyId: grant.familyId,
  clientId: grant.clientId,
  userId: grant.userId,
  sessionId: grant.sessionId,
  authTime: grant.authTime,
  details: grant.details,
  createdAt: now,
  revokedAt: null,
  revocationReason: null,
})

const later = (now: Date, ms: number) => new Date(now.getTime() + ms)

/**
 * The user behind a code, provided that they and the client are active and the consent is in force. Locks both rows,
 * before anything is consumed: whoever takes access away (see lockUser) either waits for this transaction and then
 * ends its tokens too, or has finished, and then what is about to be consumed is gone.
 */
export async function entitleCode(
  tx: Database,
  { code, clientId }: { code: string; clientId: string },
): Promise<User | undefined> {
  return (await selectEntitledToCode(tx, { hash: sha256(code), clientId }))[0]?.user
}

/** The same for a refresh token. */
export async function entitleRefreshToken(
  tx: Database,
  { token, clientId }: { token: string; clientId: string },
): Promise<User | undefined> {
  return (await selectEntitledToToken(tx, { hash: sha256(token), clientId }))[0]?.user
}

type Held = Slots<{ hash: string; clientId: string }>

const consentInForce = and(
  eq(consents.userId, users.id),
  eq(consents.clientId, clients.clientId),
  isNull(consents.revokedAt),
)

const selectEntitledToCode = prepared((db, { hash, clientId }: Held) =>
  db
    .select({ user: users })
    .from(authorizationCodes)
    .innerJoin(users, and(eq(users.id, authorizationCodes.userId), eq(users.isActive, true)))
    .innerJoin(
      clients,
      and(eq(clients.clientId, authorizationCodes.clientId), eq(clients.status, 'active')),
    )
    .innerJoin(consents, consentInForce)
    .where(and(eq(authorizationCodes.codeHash, hash), eq(authorizationCodes.clientId, clientId)))
    .for('key share', { of: [users, clients] }),
)

const selectEntitledToToken = prepared((db, { hash, clientId }: Held) =>
  db
    .select({ user: users })
    .from(tokens)
    .innerJoin(users, and(eq(users.id, tokens.userId), eq(users.isActive, true)))
    .innerJoin(clients, and(eq(clients.clientId, tokens.clientId), eq(clients.status, 'active')))
    .innerJoin(consents, consentInForce)
    .where(and(eq(tokens.secretHash, hash), eq(tokens.clientId, clientId)))
    .for('key share', { of: [users, clients] }),
)

export async function findRefreshToken(tx: Database, token: string): Promise<Token | undefined> {
  return (
    await tx
      .select()
      .from(tokens)
      .where(eq(tokens.secretHash, sha256(token)))
  )[0]
}

interface PresentedToken {
  readonly token: string
  readonly clientId: string
  readonly now: Date
}

/** A refresh token that may be used; held until the transaction ends, so that nobody ends its family meanwhile. */
export async function holdRefreshToken(
  tx: Database,
  { token, clientId, now }: PresentedToken,
): Promise<Token | undefined> {
  return (await selectUsable(tx, { hash: sha256(token), clientId, now }))[0]
}

/** Revokes the refresh token for its successor, if this call is the first to use it. */
export async function rotateRefreshToken(
  tx: Database,
  { token, clientId, now }: PresentedToken,
): Promise<Token | undefined> {
  return (await revokeUsable(tx, { hash: sha256(token), clientId, now }))[0]
}

type Presented = Slots<{ hash: string; clientId: string; now: Date }>

const usable = ({ hash, clientId, now }: Presented) =>
  and(
    eq(tokens.secretHash, hash),
    eq(tokens.clientId, clientId),
    isNull(tokens.revokedAt),
    gt(tokens.expiresAt, now),
  )

const selectUsable = prepared((db, presented: Presented) =>
  db.select().from(tokens).where(usable(presented)).for('share'),
)

const revokeUsable = prepared((db, presented: Presented) =>
  db
    .update(tokens)
    .set({ revokedAt: sql`${presented.now}`, revocationReason: 'rotation' })
    .where(usable(presented))
    .returning(),
)

/** A token that would be accepted, with its client and (unless the client acts for itself) its user. */
export interface LiveToken {
  readonly token: Token
  readonly client: Client
  readonly user: User | null
}

/** An access token that would be accepted: the database decides, never a cache. */
export const findLiveAccessToken = (
  db: Database,
  id: string,
  now: Date,
): Promise<LiveToken | undefined> =>
  span('tokens.find_access', async () => (await selectLiveAccess(db, { id, now }))[0])

/** The same for a refresh token. */
export const findLiveRefreshToken = (
  db: Database,
  token: string,
  now: Date,
): Promise<LiveToken | undefined> =>
  span('tokens.find_refresh', async () => {
    const rows = await selectLiveRefresh(db, { secretHash: sha256(token), now })
    return rows[0]
  })

const selectLive = (db: Database, which: SQL | undefined, now: Placeholder) =>
  db
    .select({ token: tokens, client: clients, user: users })
    .from(tokens)
    .innerJoin(clients, and(eq(clients.clientId, tokens.clientId), eq(clients.status, 'active')))
    .leftJoin(users, eq(users.id, tokens.userId))
    .where(
      and(
        which,
        isNull(tokens.revokedAt),
        gt(tokens.expiresAt, now),
        or(isNull(tokens.userId), eq(users.isActive, true)),
      ),
    )

const selectLiveAccess = prepared((db, { id, now }: Slots<{ id: string; now: Date }>) =>
  selectLive(db, and(eq(tokens.id, id), eq(tokens.type, 'access')), now),
)

const selectLiveRefresh = prepared(
  (db, { secretHash, now }: Slots<{ secretHash: string; now: Date }>) =>
    selectLive(db, eq(tokens.secretHash, secretHash), now),
)

/**
 * Deletes up to `limit` tokens that expired, or were revoked, before the given moment; revoked refresh tokens are kept
 * that long to tell a replay from a made-up one.
 */
export const deleteDeadTokens = (db: Database, before: Date, limit: number): Promise<number> =>
  deleteBatch(db, tokens, {
    key: tokens.id,
    where: or(
      and(isNull(tokens.revokedAt), lt(tokens.expiresAt, before)),
      and(isNotNull(tokens.revokedAt), lt(tokens.revokedAt, before)),
    ),
    limit,
  })

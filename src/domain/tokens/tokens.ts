/**
 * Access and refresh tokens as rows. A family is everything that one approval led to; it ends as a whole when a code
 * or refresh token of it is used twice. Signing happens elsewhere, after the rows have committed.
 */
import {
  and,
  eq,
  isNotNull,
  lt,
  type Placeholder,
  type SQL,
  type SQLWrapper,
  sql,
} from 'drizzle-orm'
import { deleteBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { type User, users } from '#/database/schema/users.ts'
import {
  insertForEach,
  onlyIf,
  type Placeholders,
  prepared,
  rowInserter,
  valuesFor,
} from '#/database/statements/statements.ts'
import { whereActiveClient } from '#/domain/clients/client-state.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { whereLiveToken, whereNotRevoked, whereUserMayHaveIt } from './token-state.ts'

export type { Token } from '#/database/schema/tokens.ts'

/** What was granted, whoever redeems it: the columns that tokens of one family have in common. */
type TokenGrant = Pick<
  Token,
  'familyId' | 'clientId' | 'userId' | 'sessionId' | 'authTime' | 'resources' | 'details'
> &
  Partial<Pick<Token, 'originClientId' | 'parentId' | 'endsWithSession'>>

export interface TokenLifetimes {
  readonly accessMs: number
  readonly refreshMs: number
  /** Counted from the first refresh token: no rotation reaches beyond it (RFC 9700 §2.2.2). */
  readonly familyMs: number
}

export interface NewRefreshToken {
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

/** Inserts the rows of a response; answers the access token's. The caller holds the locks of its user and client. */
export async function insertTokens(tx: Database, issue: NewTokens): Promise<Token> {
  const { access, refresh } = rowsOf(issue)
  await Promise.all([insertToken(tx, access), refresh && insertToken(tx, refresh)])
  return access
}

const insertToken = rowInserter(tokens)

/**
 * The same as parts of a prepared statement, which stores them for each row of `source`. A refresh token is dated by the
 * database, when all that the statement waited for is over: nobody can have known it before.
 */
export const tokenCtes = (db: Database, source: SQLWrapper) => [
  db.$with('access', {}).as(insertForEach(source, tokens, 'access')),
  db.$with('refresh', {}).as(
    insertForEach(onlyIf(source, 'offline'), tokens, 'refresh', {
      createdAt: sql`clock_timestamp()`,
    }),
  ),
]

/** What that statement then stores. */
export function tokenParams(issue: NewTokens) {
  const { access, refresh } = rowsOf(issue)
  const offline = refresh !== undefined
  return {
    access,
    /** Of all rows. */
    ids: refresh ? [access.id, refresh.id] : [access.id],
    values: { offline, ...valuesFor('access', access), ...valuesFor('refresh', refresh ?? {}) },
  }
}

const rowsOf = (issue: NewTokens) => ({
  access: accessTokenRow(issue),
  refresh: issue.refresh && refreshRow(issue, issue.refresh),
})

/** The row of an access token. */
export const accessTokenRow = ({
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
  originClientId: grant.originClientId ?? null,
  parentId: grant.parentId ?? null,
  userId: grant.userId,
  sessionId: grant.sessionId,
  endsWithSession: grant.endsWithSession ?? false,
  authTime: grant.authTime,
  details: grant.details,
  createdAt: now,
  revokedAt: null,
  revocationReason: null,
})

const later = (now: Date, ms: number) => new Date(now.getTime() + ms)

/** A token that would be accepted, with its client and (unless the client acts for itself) its user. */
export interface LiveToken {
  readonly token: Token
  readonly client: Pick<Client, keyof typeof clientColumns>
  readonly user: User | null
}

/** What is needed of the client to name the user; all of it would be more than token and user together. */
const clientColumns = {
  clientId: clients.clientId,
  subjectType: clients.subjectType,
  sectorIdentifierUri: clients.sectorIdentifierUri,
  redirectUris: clients.redirectUris,
  userinfoSignedResponseAlg: clients.userinfoSignedResponseAlg,
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
    .select({ token: tokens, client: clientColumns, user: users })
    .from(tokens)
    .innerJoin(clients, and(eq(clients.clientId, tokens.clientId), whereActiveClient))
    .leftJoin(users, eq(users.id, tokens.userId))
    .where(and(which, whereLiveToken(now), whereUserMayHaveIt))

const selectLiveAccess = prepared((db, { id, now }: Placeholders<{ id: string; now: Date }>) =>
  selectLive(db, and(eq(tokens.id, id), eq(tokens.type, 'access')), now),
)

const selectLiveRefresh = prepared(
  (db, { secretHash, now }: Placeholders<{ secretHash: string; now: Date }>) =>
    selectLive(db, eq(tokens.secretHash, secretHash), now),
)

/**
 * Deletes up to `limit` tokens that expired, or were revoked, before the given moment; revoked refresh tokens are kept
 * that long to tell a replay from a made-up one.
 */
export async function deleteDeadTokens(db: Database, before: Date, limit: number): Promise<number> {
  const expired = await deleteBatch(db, tokens, {
    key: tokens.id,
    where: and(whereNotRevoked, lt(tokens.expiresAt, before)),
    order: tokens.expiresAt,
    limit,
  })
  if (expired === limit) return expired
  const revoked = await deleteBatch(db, tokens, {
    key: tokens.id,
    where: and(isNotNull(tokens.revokedAt), lt(tokens.revokedAt, before)),
    order: tokens.revokedAt,
    limit: limit - expired,
  })
  return expired + revoked
}

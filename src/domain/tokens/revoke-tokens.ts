/** Ending tokens before their time. Every way in is one guarded UPDATE whose returned rows are what is counted. */
import { and, eq, or, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import type { StoredTokenType, TokenRevocationReason } from '#/protocol/vocabulary.ts'
import { whereLiveToken, whereNotRevoked } from './token-state.ts'

/** How many live tokens of each type ended. */
export type RevokedTokens = Readonly<Record<StoredTokenType, number>> & {
  readonly reason: TokenRevocationReason
}

/** What ended where nothing did. */
export const noTokens = (reason: TokenRevocationReason): RevokedTokens => ({
  reason,
  access: 0,
  refresh: 0,
})

interface Revocation {
  readonly reason: TokenRevocationReason
  readonly now: Date
}

export const revokeTokensOfUser = (
  tx: Database,
  userId: string,
  end: Revocation,
): Promise<RevokedTokens> => revokeTokens(tx, eq(tokens.userId, userId), end)

export const revokeTokensOfClient = (
  tx: Database,
  clientId: string,
  end: Revocation,
): Promise<RevokedTokens> => revokeTokens(tx, restsOn(clientId), end)

export const revokeTokensOfConsent = (
  tx: Database,
  { userId, clientId }: { userId: string; clientId: string },
  end: Revocation,
): Promise<RevokedTokens> =>
  revokeTokens(tx, and(eq(tokens.userId, userId), restsOn(clientId)), end)

/** Ends what clients were given for as long as their user is signed in, and notes with each session what ended. */
export async function revokeTokensOfSessions<S extends { readonly id: string }>(
  tx: Database,
  sessions: readonly S[],
  end: Revocation,
): Promise<(S & { readonly tokens: RevokedTokens })[]> {
  const ids = sessions.map(({ id }) => id)
  const rows = ids.length > 0 ? await endTokens(tx, endingWith(ids), end) : []
  const bySession = Map.groupBy(rows, ({ sessionId }) => sessionId)
  return sessions.map((session) => ({
    ...session,
    tokens: countsOf(bySession.get(session.id) ?? [], end),
  }))
}

/** The same user has signed in again in the same browser: what was given to clients goes on. */
export async function moveTokensToSession(
  tx: Database,
  { from, to, now }: { from: string; to: string; now: Date },
): Promise<void> {
  const moving = tx
    .select({ id: tokens.id })
    .from(tokens)
    .where(and(endingWith([from]), whereLiveToken(now)))
    .orderBy(tokens.id)
    .for('update')
  await tx.update(tokens).set({ sessionId: to }).where(isAmong(moving))
}

/** An array is made once, before anything else is read; a subquery may be asked for each row of a table that has just grown. */
const isAmong = (ids: SQLWrapper): SQL => sql`${tokens.id} = any(array${ids})`

const endingWith = (sessionIds: readonly string[]): SQL | undefined =>
  and(
    sql`${tokens.sessionId} = any(${sql.param([...sessionIds], tokens.resources)}::uuid[])`,
    eq(tokens.endsWithSession, true),
    whereNotRevoked,
  )

/** What a client holds, and what others were given for its tokens. */
const restsOn = (clientId: string): SQL | undefined =>
  or(eq(tokens.clientId, clientId), eq(tokens.originClientId, clientId))

/** What a client may have now. */
interface Allowance {
  readonly clientId: string
  readonly scope: readonly string[]
  readonly resources: readonly string[]
  readonly mayRefresh: boolean
}

/** Ends what goes beyond: wider scopes, other resources and, if it may not refresh any more, refresh tokens. */
export const revokeTokensBeyond = (
  tx: Database,
  { clientId, scope, resources, mayRefresh }: Allowance,
  end: Revocation,
): Promise<RevokedTokens> =>
  revokeTokens(
    tx,
    and(
      restsOn(clientId),
      or(
        sql`not string_to_array(${tokens.scope}, ' ') <@ ${sql.param([...scope], tokens.resources)}`,
        // What others were given in exchange is for what they may ask for themselves.
        and(
          eq(tokens.clientId, clientId),
          or(
            sql`not ${tokens.resources} <@ ${sql.param([...resources], tokens.resources)}`,
            mayRefresh ? undefined : eq(tokens.type, 'refresh'),
          ),
        ),
      ),
    ),
    end,
  )

type Family = Pick<Token, 'familyId' | 'userId'>

export interface Theft extends Family {
  readonly clientId: string
  readonly reason: 'reuse' | 'code_replay'
  readonly now: Date
}

/** RFC 9700 §4.14.2: ends what a replayed code or refresh token has led to, and says so in the audit log. */
export async function endStolenFamily(
  tx: Database,
  theft: Theft,
  origin: AuditOrigin,
): Promise<RevokedTokens> {
  const { familyId, clientId, reason, now } = theft
  const revoked = await revokeFamily(tx, theft, theft)
  await writeAudit(tx, origin, {
    type: 'SUSPICIOUS_ACTIVITY',
    at: now,
    success: false,
    clientId,
    resource: { type: 'token_family', id: familyId },
    details: { reason, access_ended: revoked.access, refresh_ended: revoked.refresh },
  })
  return revoked
}

/**
 * Ends everything that one approval has led to. No refresh is under way meanwhile: it would hold the user's row, which
 * the caller must not do itself (two that waited for each other would never end).
 */
export async function revokeFamily(
  tx: Database,
  { familyId, userId }: Family,
  end: Revocation,
): Promise<RevokedTokens> {
  if (userId !== null) await lockUser(tx, userId)
  return revokeTokens(tx, eq(tokens.familyId, familyId), end)
}

/** Ends one token with what was exchanged for it, and nothing else of its family; locks the user's row as `revokeFamily` does. */
export async function revokeToken(
  tx: Database,
  { id, userId }: Pick<Token, 'id' | 'userId'>,
  end: Revocation,
): Promise<RevokedTokens> {
  if (userId !== null) await lockUser(tx, userId)
  return revokeTokens(tx, eq(tokens.id, id), end)
}

/**
 * Revokes tokens with all that were exchanged for them (RFC 8693 §2.1); expired rows are left alone. Locks all in one
 * order, so that overlapping revocations (of a user, of a client) wait instead of deadlocking. No exchange can run
 * meanwhile: it would lock the user's row or that of each client in the chain, one of which the caller has locked.
 */
async function revokeTokens(
  tx: Database,
  which: SQL | undefined,
  end: Revocation,
): Promise<RevokedTokens> {
  return countsOf(await endTokens(tx, which, end), end)
}

type EndedToken = Pick<Token, 'type' | 'sessionId'>

function endTokens(
  tx: Database,
  which: SQL | undefined,
  { reason, now }: Revocation,
): Promise<EndedToken[]> {
  const live = tx
    .select({ id: tokens.id })
    .from(tokens)
    .where(and(isAmong(withDescendants(tx, and(which, whereLiveToken(now)))), whereLiveToken(now)))
    .orderBy(tokens.id)
    .for('update')
  return tx
    .update(tokens)
    .set({ revokedAt: now, revocationReason: reason })
    .where(isAmong(live))
    .returning({ type: tokens.type, sessionId: tokens.sessionId })
}

function countsOf(rows: readonly EndedToken[], { reason }: Revocation): RevokedTokens {
  const access = rows.filter((row) => row.type === 'access').length
  return { reason, access, refresh: rows.length - access }
}

/** A token is live no longer than the one that it was exchanged for, so that a live one is never below a dead one. */
const withDescendants = (tx: Database, which: SQL | undefined): SQL => {
  const roots = tx.select({ id: tokens.id }).from(tokens).where(which)
  return sql`(with recursive ending as (${roots.getSQL()}
    union select child.id from ending join ${tokens} child on child.parent_id = ending.id) select id from ending)`
}

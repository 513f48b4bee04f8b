/**
 * The ends of sessions, and what ends with them: the tokens that clients were given for as long as their user is signed
 * in. Clients that were told of the session hear of its end where the table says so.
 */
import { and, eq, lte, ne, type SQL, sql } from 'drizzle-orm'
import { boundBatch, inBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { queueLogoutTokens } from '#/domain/logout-deliveries/queue-deliveries.ts'
import { whereLapsedSession, whereOpenSession } from '#/domain/sessions/session-state.ts'
import {
  noTokens,
  type RevokedTokens,
  revokeTokensOfSessions,
} from '#/domain/tokens/revoke-tokens.ts'
import type { LoginSource, SessionEndReason, TokenRevocationReason } from '#/protocol/vocabulary.ts'

/** A lapsed session is not announced: clients have deadlines of their own. */
export const sessionEndings = {
  logout: { tokens: 'user_request', announced: true },
  revoked: { tokens: 'user_request', announced: true },
  fingerprint_mismatch: { tokens: 'user_request', announced: true },
  account_inactive: { tokens: 'account_inactive', announced: true },
  password_changed: { tokens: 'password_changed', announced: true },
  idle_timeout: { tokens: 'user_request', announced: false },
  timeout: { tokens: 'user_request', announced: false },
  /** Only the caller knows whether its user has gone, and passes on or ends what it has led to. */
  replaced: { tokens: 'user_request', announced: false },
} as const satisfies Record<SessionEndReason, { tokens: TokenRevocationReason; announced: boolean }>

/** What an ended row tells: one recording each. */
export interface EndedSession {
  readonly id: string
  readonly userId: string | null
  readonly reason: SessionEndReason
  /** Life of the session, in seconds. */
  readonly seconds: number
  /** What clients could do as long as it lasted. */
  readonly tokens: RevokedTokens
}

export interface SessionEnd {
  readonly reason: SessionEndReason
  readonly now: Date
  /** Why its tokens end, where that says more than the reason. */
  readonly tokenReason?: TokenRevocationReason
}

/**
 * Ends the matching rows that have not ended. A row past its deadline ended then, and for that reason. The guard
 * makes it happen once: only the caller that gets a row back may record its end.
 */
function endSessions(
  db: Database,
  which: SQL | undefined,
  end: SessionEnd,
): Promise<EndedSession[]> {
  // A parallel request may have moved the idle deadline since it was found to have passed.
  const stillLapsed =
    end.reason === 'timeout' || end.reason === 'idle_timeout'
      ? lte(sessions.lapsesAt, end.now)
      : undefined
  return endRows(db, and(which, stillLapsed, whereOpenSession), end)
}

async function endRows(
  db: Database,
  which: SQL | undefined,
  { reason, now, tokenReason = sessionEndings[reason].tokens }: SessionEnd,
): Promise<EndedSession[]> {
  const moment = sql`${now.toISOString()}::timestamptz`
  const rows = await db
    .update(sessions)
    .set({
      endedAt: sql`least(${moment}, ${sessions.lapsesAt})`,
      endReason: sql`case
        when ${sessions.lapsesAt} > ${moment} then ${reason}::text
        when ${sessions.lapsesAt} < ${sessions.expiresAt} then 'idle_timeout'
        else 'timeout' end`,
    })
    .where(which)
    .returning()
  const ended = rows.map(({ id, userId, endReason, endedAt, createdAt }) => ({
    id,
    userId,
    reason: endReason ?? reason,
    seconds: Math.max(0, ((endedAt ?? now).getTime() - createdAt.getTime()) / 1000),
  }))
  await queueLogoutTokens(
    db,
    ended.filter((session) => sessionEndings[session.reason].announced),
    now,
  )
  return endTokensOf(db, ended, { reason: tokenReason, now })
}

/** What a replaced session has led to is passed on, or ended, by the caller. */
async function endTokensOf(
  db: Database,
  ended: readonly Omit<EndedSession, 'tokens'>[],
  end: { reason: TokenRevocationReason; now: Date },
): Promise<EndedSession[]> {
  const replaced = ended.filter(({ reason }) => reason === 'replaced')
  const others = ended.filter(({ reason }) => reason !== 'replaced')
  return [
    ...replaced.map((session) => ({ ...session, tokens: noTokens(end.reason) })),
    ...(await revokeTokensOfSessions(db, others, end)),
  ]
}

/** Ends one session of any user; empty when it had already ended. */
export const endSession = (db: Database, id: string, end: SessionEnd): Promise<EndedSession[]> =>
  endSessions(db, eq(sessions.id, id), end)

/** Ends what a user has: everything, what was begun in one way, all but one session. */
export const endSessionsOfUser = (
  db: Database,
  userId: string,
  end: SessionEnd & { source?: LoginSource; except?: string | undefined },
): Promise<EndedSession[]> =>
  endSessions(
    db,
    and(
      eq(sessions.userId, userId),
      end.source ? eq(sessions.loginSource, end.source) : undefined,
      end.except ? ne(sessions.id, end.except) : undefined,
    ),
    end,
  )

/** Ends one session of a user; empty when it is not theirs or not live. */
export const endOwnSession = (
  db: Database,
  { userId, id }: { userId: string; id: string },
  end: SessionEnd,
): Promise<EndedSession[]> =>
  endSessions(db, and(eq(sessions.id, id), eq(sessions.userId, userId)), end)

/** Ends up to `limit` lapsed rows, at the deadline that passed, in a transaction of their own. Replicas skip each other's rows. */
export async function endLapsedSessions(
  tx: Database,
  { now, limit }: { now: Date; limit: number },
): Promise<EndedSession[]> {
  await boundBatch(tx)
  const lapsed = inBatch(tx, sessions, {
    key: sessions.id,
    where: whereLapsedSession(now),
    order: sessions.lapsesAt,
    limit,
  })
  return endRows(tx, lapsed, { reason: 'timeout', now })
}

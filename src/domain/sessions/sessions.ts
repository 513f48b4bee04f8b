/**
 * The session ledger. A browser session is a row; it starts with a committed INSERT and ends once, by a guarded
 * UPDATE. Only the caller that gets the ended row back records the end, so parallel requests, replayed cookies,
 * replicas and repeated sign-outs count once. Rows created = accepted + lapsed but not yet swept + ended.
 */
import {
  and,
  desc,
  eq,
  gt,
  isNotNull,
  isNull,
  lt,
  lte,
  ne,
  type SQL,
  sql,
  type WithSubquery,
} from 'drizzle-orm'
import { boundBatch, deleteBatch, inBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { type Session, sessions } from '#/database/schema/sessions.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/prepared.ts'
import { queueLogoutTokens } from '#/domain/logout-deliveries/queue-deliveries.ts'
import { type RevokedTokens, revokeTokensOfSessions } from '#/domain/tokens/revoke-tokens.ts'
import type { LoginSource, SessionEndReason, TokenRevocationReason } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'

export type { Session } from '#/database/schema/sessions.ts'

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

/** A session that was found, with its user as the same statement saw it. */
export interface FoundSession {
  readonly session: Session
  readonly user: User | null
}

/** One indexed join: never cached, so that a sign-out or a disabled user takes effect at the very next request. */
export const findSession = (db: Database, id: string): Promise<FoundSession | undefined> =>
  span('sessions.find', async () => (await selectSession(db, { id }))[0])

const selectSession = prepared((db, { id }: Placeholders<{ id: string }>) =>
  db
    .select({ session: sessions, user: users })
    .from(sessions)
    .leftJoin(users, eq(users.id, sessions.userId))
    .where(eq(sessions.id, id)),
)

/**
 * The part of a statement that finds an open session of the user that `holder` has locked. It locks the session, so
 * that ending it waits and then also ends what the statement creates.
 */
export const lockedOpenSession = (
  db: Database,
  holder: WithSubquery,
  { sessionId, userId }: Placeholders<{ sessionId: string | null; userId: string }>,
) =>
  db
    .select({ id: sessions.id })
    .from(sessions)
    .innerJoin(holder, eq(sessions.userId, userId))
    .where(and(eq(sessions.id, sessionId), isNull(sessions.endedAt)))
    .for('share', { of: sessions })

/** Whether a session has not ended; held, so that it does not until the transaction is over. */
export async function lockOpenSession(tx: Database, id: string): Promise<boolean> {
  const open = tx
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.id, id), isNull(sessions.endedAt)))
  return (await open.for('share')).length > 0
}

/** The rows that `judgeSession` accepts, as a condition; the fingerprint is the one thing only a request can know. */
export const isLive = (now: Date): SQL =>
  sql`${isNull(sessions.endedAt)} and ${gt(sessions.lapsesAt, now)}`

export type SessionStatus = 'accepted' | 'already_ended' | SessionEndReason

/** Whether a found session may be used. Deadlines come before the fingerprint: a lapsed session ended by itself. */
export function sessionStatusOf(
  found: FoundSession,
  fingerprint: string | null,
  now: Date,
): SessionStatus {
  const { session, user } = found
  if (session.endedAt) return 'already_ended'
  if (session.lapsesAt <= now)
    return session.lapsesAt < session.expiresAt ? 'idle_timeout' : 'timeout'
  if (!user?.isActive) return 'account_inactive'
  if (session.fingerprint !== null && fingerprint !== null && session.fingerprint !== fingerprint) {
    return 'fingerprint_mismatch'
  }
  return 'accepted'
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
  return endRows(db, and(which, stillLapsed, isNull(sessions.endedAt)), end)
}

async function endRows(
  db: Database,
  which: SQL | undefined,
  { reason, now, tokenReason = tokenReasons[reason] }: SessionEnd,
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
    ended.filter((session) => announced.has(session.reason)),
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
  const nothing = { reason: end.reason, access: 0, refresh: 0 }
  const replaced = ended.filter(({ reason }) => reason === 'replaced')
  const others = ended.filter(({ reason }) => reason !== 'replaced')
  return [
    ...replaced.map((session) => ({ ...session, tokens: nothing })),
    ...(await revokeTokensOfSessions(db, others, end)),
  ]
}

/** The words that the end of a token knows. */
export const tokenReasons: Readonly<Record<SessionEndReason, TokenRevocationReason>> = {
  logout: 'user_request',
  idle_timeout: 'user_request',
  timeout: 'user_request',
  fingerprint_mismatch: 'user_request',
  revoked: 'user_request',
  replaced: 'user_request',
  account_inactive: 'account_inactive',
  password_changed: 'password_changed',
}

/**
 * The ends that clients are notified of. Not of lapsed sessions: clients have their own deadlines. For a replaced one
 * only the caller knows whether its user has changed.
 */
const announced: ReadonlySet<SessionEndReason> = new Set([
  'logout',
  'revoked',
  'account_inactive',
  'password_changed',
  'fingerprint_mismatch',
])

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
    where: and(isNull(sessions.endedAt), lte(sessions.lapsesAt, now)),
    order: sessions.lapsesAt,
    limit,
  })
  return endRows(tx, lapsed, { reason: 'timeout', now })
}

/** Deletes up to `limit` rows that ended before the given moment; answers how many. */
export const deleteEndedSessions = (db: Database, before: Date, limit: number): Promise<number> =>
  deleteBatch(db, sessions, {
    key: sessions.id,
    where: and(isNotNull(sessions.endedAt), lt(sessions.endedAt, before)),
    order: sessions.endedAt,
    limit,
  })

/** Moves the idle deadline; written at most once per `everyMs`, and never for a session that has lapsed. */
export async function touchSession(
  db: Database,
  session: Session,
  { now, idleMs, everyMs }: { now: Date; idleMs: number; everyMs: number },
): Promise<void> {
  if (now.getTime() - session.lastSeenAt.getTime() < everyMs) return
  await db
    .update(sessions)
    .set({
      lastSeenAt: now,
      idleExpiresAt: session.idleExpiresAt === null ? null : new Date(now.getTime() + idleMs),
    })
    .where(and(eq(sessions.id, session.id), isLive(now), lt(sessions.lastSeenAt, now)))
}

/** As many as are ever listed. */
export const maxSessions = 200

/** A user's live sessions, latest first. */
export const listLiveSessions = (db: Database, userId: string, now: Date): Promise<Session[]> =>
  db
    .select()
    .from(sessions)
    .where(and(eq(sessions.userId, userId), isLive(now)))
    .orderBy(desc(sessions.lastSeenAt))
    .limit(maxSessions)

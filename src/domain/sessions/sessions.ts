/**
 * The session ledger. A browser session is a row; it starts with a committed INSERT and ends once, by a guarded
 * UPDATE. Only the caller that gets the ended row back records the end, so parallel requests, replayed cookies,
 * replicas and repeated sign-outs count once. Rows created = accepted + lapsed but not yet swept + ended.
 */
import { and, desc, eq, isNotNull, lt, type WithSubquery } from 'drizzle-orm'
import { deleteBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { type Session, sessions } from '#/database/schema/sessions.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/statements.ts'
import { span } from '#/telemetry/tracing.ts'
import { whereLiveSession, whereOpenSession } from './session-state.ts'

export type { Session } from '#/database/schema/sessions.ts'

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
    .where(and(eq(sessions.id, sessionId), whereOpenSession))
    .for('share', { of: sessions })

/** Whether a session has not ended; held, so that it does not until the transaction is over. */
export async function lockOpenSession(tx: Database, id: string): Promise<boolean> {
  const open = tx
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.id, id), whereOpenSession))
  return (await open.for('share')).length > 0
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
    .where(and(eq(sessions.id, session.id), whereLiveSession(now), lt(sessions.lastSeenAt, now)))
}

/** As many as are ever listed. */
export const maxSessions = 200

/** A user's live sessions, latest first. */
export const listLiveSessions = (db: Database, userId: string, now: Date): Promise<Session[]> =>
  db
    .select()
    .from(sessions)
    .where(and(eq(sessions.userId, userId), whereLiveSession(now)))
    .orderBy(desc(sessions.lastSeenAt))
    .limit(maxSessions)

/** When a session may be used. */
import { gt, isNull, lte, type SQL, sql } from 'drizzle-orm'
import { type Session, sessions } from '#/database/schema/sessions.ts'
import type { User } from '#/database/schema/users.ts'
import type { SessionEndReason } from '#/protocol/vocabulary.ts'

/** A session that nothing has ended; its deadline may have passed. */
export const whereOpenSession: SQL = isNull(sessions.endedAt)

/** The rows that `sessionStatusOf` accepts for an active user; the fingerprint is the one thing only a request can know. */
export const whereLiveSession = (now: Date): SQL =>
  sql`${whereOpenSession} and ${gt(sessions.lapsesAt, now)}`

/** An open session whose deadline has passed. */
export const whereLapsedSession = (now: Date): SQL =>
  sql`${whereOpenSession} and ${lte(sessions.lapsesAt, now)}`

export type SessionStatus = 'accepted' | 'already_ended' | SessionEndReason

/** Whether a found session may be used. Deadlines come before the fingerprint: a lapsed session ended by itself. */
export function sessionStatusOf(
  { session, user }: { readonly session: Session; readonly user: User | null },
  fingerprint: string | null,
  now: Date,
): SessionStatus {
  if (session.endedAt) return 'already_ended'
  if (session.lapsesAt <= now)
    return session.lapsesAt < session.expiresAt ? 'idle_timeout' : 'timeout'
  if (!user?.isActive) return 'account_inactive'
  if (session.fingerprint !== null && fingerprint !== null && session.fingerprint !== fingerprint) {
    return 'fingerprint_mismatch'
  }
  return 'accepted'
}

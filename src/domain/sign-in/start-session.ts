/** Starting a session: the one way in for every kind of sign-in. */
import { and, desc, eq, gt, ne } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { identities } from '#/database/schema/identities.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { type User, users } from '#/database/schema/users.ts'
import {
  type EndedSession,
  endSession,
  sessionEndings,
} from '#/domain/access-revocation/end-sessions.ts'
import { auditEnds } from '#/domain/access-revocation/end-with-audit.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import {
  inheritSessionClients,
  queueLogoutTokens,
} from '#/domain/logout-deliveries/queue-deliveries.ts'
import { whereLiveSession } from '#/domain/sessions/session-state.ts'
import { moveTokensToSession, revokeTokensOfSessions } from '#/domain/tokens/revoke-tokens.ts'
import type { LoginSource } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'

export interface NewSession {
  /** New at every sign-in, and nobody's guess: a session id known before it is worth nothing (no fixation). */
  readonly id: string
  /** As it was when the credentials were verified. */
  readonly user: User
  readonly source: LoginSource
  /** Who they are there, if it was not our password table that said so. */
  readonly identity?: { readonly issuer: string; readonly subject: string } | undefined
  /** When their provider asked who they are, if it says. */
  readonly authTime?: Date | undefined
  readonly browser: string
  readonly platform: string
  readonly ip: string
  readonly fingerprint: string | null
  readonly remembered: boolean
  readonly lifetimeMs: number
  /** 0 for none. */
  readonly idleMs: number
  /** The session this browser had until now; it ends as `replaced`. */
  readonly replaces: string | undefined
  /** How many sessions the user may have at once; 0 for any number. */
  readonly most: number
  readonly now: Date
}

/** How long a form that is sent again, also by somebody who has waited for an answer in vain, leads to the session that it has started. */
const repeatMs = 60_000

export interface StartedSession {
  /** `repeated`: it is there since a moment ago, by the same form. `taken`: it is not, its id was used for another one. */
  readonly outcome: 'started' | 'repeated' | 'taken'
  /** What this browser had until now, and the oldest of what the user has too many of. */
  readonly ended: readonly EndedSession[]
}

/**
 * Commits the session's row, or finds the one that the same form has started a moment ago. Undefined when the account was
 * disabled, its password changed or its link removed since the credentials were verified: the row lock orders this against
 * all of them, so no sign-in slips in behind them.
 */
export function startSession(
  db: Database,
  start: NewSession,
  origin: AuditOrigin,
): Promise<StartedSession | undefined> {
  const { user, now } = start
  return span('sessions.start', () =>
    db.transaction(async (tx) => {
      if (!(await lockUnchanged(tx, start))) return undefined
      if (!(await isLinkedStill(tx, start))) return undefined
      if (!(await insert(tx, start))) return findRepeated(tx, start)
      const replaced = start.replaces ? await replace(tx, start.replaces, start) : []
      await writeAudit(tx, origin, {
        type: 'AUTHENTICATION_SUCCESS',
        at: now,
        actor: user,
        resource: { type: 'session', id: start.id },
        details: {
          auth_source: start.source,
          remembered: start.remembered,
          replaced: replaced.length,
        },
      })
      const surplus = await endSurplus(tx, start, origin)
      return { ended: [...replaced, ...surplus], outcome: 'started' as const }
    }),
  )
}

/** Whether the account still is what the credentials were verified against. */
async function lockUnchanged(tx: Database, { user, most }: NewSession): Promise<boolean> {
  // Parallel sign-ins that are counted wait for one another, but for nobody who is giving out tokens.
  const [current] = await tx
    .select()
    .from(users)
    .where(eq(users.id, user.id))
    .for(most > 0 ? 'no key update' : 'share')
  return current?.isActive === true && current.passwordHash === user.passwordHash
}

/** False when the id is taken. */
async function insert(tx: Database, start: NewSession): Promise<boolean> {
  const { now } = start
  const rows = await tx
    .insert(sessions)
    .values({
      id: start.id,
      userId: start.user.id,
      loginSource: start.source,
      remembered: start.remembered,
      browser: start.browser,
      platform: start.platform,
      ip: start.ip,
      fingerprint: start.fingerprint,
      authTime: start.authTime ?? null,
      createdAt: now,
      lastSeenAt: now,
      expiresAt: new Date(now.getTime() + start.lifetimeMs),
      idleExpiresAt:
        start.remembered || start.idleMs === 0 ? null : new Date(now.getTime() + start.idleMs),
    })
    .onConflictDoNothing()
    .returning({ id: sessions.id })
  return rows.length > 0
}

async function findRepeated(tx: Database, { id, user, now }: NewSession): Promise<StartedSession> {
  const [known] = await tx
    .select({ id: sessions.id })
    .from(sessions)
    .where(
      and(
        eq(sessions.id, id),
        eq(sessions.userId, user.id),
        gt(sessions.createdAt, new Date(now.getTime() - repeatMs)),
        whereLiveSession(now),
      ),
    )
  return { ended: [], outcome: known ? 'repeated' : 'taken' }
}

async function isLinkedStill(tx: Database, { user, source, identity }: NewSession) {
  if (source === 'local') return true
  if (!identity) return false
  const { issuer, subject } = identity
  const found = await tx
    .select({ id: identities.id })
    .from(identities)
    .where(
      and(
        eq(identities.source, source),
        eq(identities.issuer, issuer),
        eq(identities.subject, subject),
        eq(identities.userId, user.id),
      ),
    )
  return found.length > 0
}

/** Ends the oldest sessions of a user who has more than they may; whoever else starts one waits for the user's row. */
async function endSurplus(
  tx: Database,
  { id, user, most, now }: NewSession,
  origin: AuditOrigin,
): Promise<readonly EndedSession[]> {
  if (most === 0) return []
  const live = await tx
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.userId, user.id), ne(sessions.id, id), whereLiveSession(now)))
    .orderBy(desc(sessions.createdAt), desc(sessions.id))
    .offset(most - 1)
  const ended: EndedSession[] = []
  for (const surplus of live)
    ended.push(...(await endSession(tx, surplus.id, { reason: 'revoked', now })))
  await auditEnds(tx, ended, { type: 'SESSION_REVOKED', origin, actor: user, now })
  return ended
}

/** To clients, the same user signing in again is the same session; anybody else is not. */
async function replace(
  tx: Database,
  from: string,
  { id: to, user, now }: NewSession,
): Promise<readonly EndedSession[]> {
  const replaced = await endSession(tx, from, { reason: 'replaced', now })
  if (replaced.some(({ userId }) => userId !== user.id)) {
    await queueLogoutTokens(tx, replaced, now)
    return revokeTokensOfSessions(tx, replaced, { reason: sessionEndings.replaced.tokens, now })
  }
  if (replaced.length > 0) {
    await inheritSessionClients(tx, { from, to })
    await moveTokensToSession(tx, { from, to, now })
  }
  return replaced
}

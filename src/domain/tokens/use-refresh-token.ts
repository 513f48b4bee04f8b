/** A refresh token is looked at first, since its client may ask for what it does not grant; then one statement uses it. */
import { and, eq, isNull, ne, or, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { inTime } from '#/database/in-time.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/statements.ts'
import { auditCtes } from '#/domain/audit/audit.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { type AskedGrant, lockedActiveGrant } from './active-grant.ts'
import { isLiveToken, whereLiveToken } from './token-state.ts'
import { tokenCtes } from './tokens.ts'

interface Found {
  readonly token: Token
  readonly user: User
}

interface Presented {
  readonly token: string
  readonly clientId: string
  readonly now: Date
}

/** Any refresh token that this server has made, and not forgotten yet. */
export async function findRefreshToken(db: Database, token: string): Promise<Found | undefined> {
  return (await select(db, { hash: sha256(token) }))[0]
}

/** One that may be used, by the looks of it. */
export async function findUsableToken(
  db: Database,
  { token, clientId, now }: Presented,
): Promise<Found | undefined> {
  const found = await findRefreshToken(db, token)
  return found?.token.clientId === clientId && isLiveToken(found.token, now) ? found : undefined
}

const select = prepared((db, { hash }: Placeholders<{ hash: string }>) =>
  db
    .select({ token: tokens, user: users })
    .from(tokens)
    .innerJoin(users, eq(users.id, tokens.userId))
    .where(eq(tokens.secretHash, hash)),
)

type Use = AskedGrant & { readonly id: string; readonly now: Date; readonly deadline: Date }
type Which = Pick<Placeholders<Use>, 'id' | 'now' | 'deadline'>

const usable = ({ id, now, deadline }: Which) =>
  and(eq(tokens.id, id), whereLiveToken(now), inTime(deadline))

/** Revokes the token for its successor, and stores what follows from it, if this is the first to use it. */
export const rotateRefreshToken = prepared(
  (db, { userId, clientId, clientVersion, id, now, deadline }: Placeholders<Use>) => {
    const holder = holderOf(db, { userId, clientId, clientVersion })
    const used = db.$with('used').as(
      db
        .update(tokens)
        .set({ revokedAt: sql`${now}`, revocationReason: 'rotation' })
        .from(holder)
        .where(usable({ id, now, deadline }))
        .returning({ id: tokens.id }),
    )
    return db
      .with(holder, used, ...tokenCtes(db, used), auditCtes(db, used))
      .select()
      .from(used)
  },
)

/** Stores the tokens issued for a refresh token that does not rotate, and locks it against the end of its family. */
export const reuseRefreshToken = prepared(
  (db, { userId, clientId, clientVersion, id, now, deadline }: Placeholders<Use>) => {
    const holder = holderOf(db, { userId, clientId, clientVersion })
    const used = db.$with('used').as(lockedLiveToken(db, holder, { id, now, deadline }))
    return db
      .with(holder, used, ...tokenCtes(db, used), auditCtes(db, used))
      .select()
      .from(used)
  },
)

const holderOf = (db: Database, holder: Placeholders<AskedGrant>) =>
  db.$with('holder').as(lockedActiveGrant(db, holder))

/** The part of a statement that finds a usable token of its user, and holds it until the transaction ends. */
export const lockedLiveToken = (db: Database, holder: ReturnType<typeof holderOf>, which: Which) =>
  db
    .select({ id: tokens.id })
    .from(tokens)
    .innerJoin(holder, eq(holder.userId, tokens.userId))
    .where(usable(which))
    .for('share', { of: tokens })

/**
 * Whether a retry may still be given this successor: unused, and stored at most `graceMs` ago by the database's clock alone,
 * whichever replicas are involved; `always` where its age does not matter. Locked until the transaction ends, so that
 * nobody ends its family meanwhile.
 */
export const lockSuccessor = async (
  tx: Database,
  { token, clientId, now, always, graceMs }: Presented & Pick<Successor, 'always' | 'graceMs'>,
): Promise<boolean> =>
  (await lock(tx, { hash: sha256(token), clientId, now, always, graceMs })).length > 0

interface Successor extends Pick<Presented, 'clientId' | 'now'> {
  readonly hash: string
  readonly always: boolean
  readonly graceMs: number
}

const lock = prepared((db, { hash, clientId, now, always, graceMs }: Placeholders<Successor>) =>
  db
    .select({ id: tokens.id })
    .from(tokens)
    .where(
      and(
        eq(tokens.secretHash, hash),
        eq(tokens.clientId, clientId),
        whereLiveToken(now),
        or(
          sql`${always}::boolean`,
          sql`${tokens.createdAt} > clock_timestamp() - make_interval(secs => ${graceMs}::float8 / 1000)`,
        ),
      ),
    )
    .for('share'),
)

/**
 * Notes that a successor was handed out again, so that its use is not taken for theft; false when the token is no
 * longer in use.
 */
export async function noteRetry(tx: Database, id: string): Promise<boolean> {
  const noted = await tx
    .update(tokens)
    .set({ revokedAt: sql`clock_timestamp()` })
    .where(and(eq(tokens.id, id), eq(tokens.revocationReason, 'rotation')))
    .returning({ id: tokens.id })
  return noted.length > 0
}

/** Gives a token back to its client: the one that was used at that very moment, and not since. */
export async function restoreRefreshToken(
  tx: Database,
  { id, usedAt }: { id: string; usedAt: Date },
): Promise<boolean> {
  const restored = await tx
    .update(tokens)
    .set({ revokedAt: null, revocationReason: null })
    .where(
      and(eq(tokens.id, id), eq(tokens.revocationReason, 'rotation'), eq(tokens.revokedAt, usedAt)),
    )
    .returning({ id: tokens.id })
  return restored.length > 0
}

/** The latest refresh token of a family: all before it have been rotated. */
export async function findLatest(tx: Database, familyId: string): Promise<Token | undefined> {
  const rows = await tx
    .select()
    .from(tokens)
    .where(
      and(
        eq(tokens.familyId, familyId),
        eq(tokens.type, 'refresh'),
        or(isNull(tokens.revocationReason), ne(tokens.revocationReason, 'rotation')),
      ),
    )
    .limit(1)
  return rows[0]
}

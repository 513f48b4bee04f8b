/**
 * Scheduled rotation with overlap. The next key of an algorithm is published well before it signs, the retired one stays
 * published until the last token under it has expired. Who does it, and how many try at once, makes no difference.
 */
import { and, asc, desc, eq, isNull, lte, sql } from 'drizzle-orm'
import { announceChange } from '#/database/cache-channel.ts'
import type { Database } from '#/database/client.ts'
import { signingKeys } from '#/database/schema/signing-keys.ts'
import { newestOf } from '#/protocol/secrets.ts'
import type { SigningAlgorithm } from '#/protocol/vocabulary.ts'
import { createKey } from './create-key.ts'

/** When keys take over from one another. */
export interface KeySchedule {
  /** How long a key signs. */
  readonly intervalMs: number
  /** How long before its first use it is published. */
  readonly publishAheadMs: number
}

export interface KeyRotation extends KeySchedule {
  readonly secrets: readonly string[]
  /** Of the longest-lived token there can be. */
  readonly tokenLifetimeMs: number
}

/** Any number, the same for every version of this server. */
const rotationLock = 7_264_002

/** A replica whose clock or cache lags signs with the old key a little longer. */
const latenessMs = 60 * 60 * 1000

/** Publishes the next key of an algorithm once it is due; answers how many keys that made. */
export async function publishNextKey(
  db: Database,
  algorithm: SigningAlgorithm,
  { rotation, now }: { rotation: KeyRotation; now: Date },
): Promise<number> {
  if (!isDue(await findNewest(db, algorithm), rotation, now)) return 0
  return db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${rotationLock})`)
    // Whoever waited for another replica finds the key that it has made.
    const newest = await findNewest(tx, algorithm)
    if (!isDue(newest, rotation, now)) return 0
    const activatesAt = isSigning(newest, now) ? nextSwitch(newest.activatesAt, rotation, now) : now
    if (isSigning(newest, now))
      await tx
        .update(signingKeys)
        .set({ retiresAt: activatesAt })
        .where(eq(signingKeys.kid, newest.kid))
    await createKey(tx, algorithm, { secret: newestOf(rotation.secrets), now, activatesAt })
    return 1
  })
}

/** Decides how long the keys that no longer sign are kept; answers how many retired since. */
export async function retireKeys(
  db: Database,
  { rotation, now }: { rotation: KeyRotation; now: Date },
): Promise<number> {
  const keepMs = rotation.tokenLifetimeMs + latenessMs
  const retired = await db
    .update(signingKeys)
    .set({
      expiresAt: sql`${signingKeys.retiresAt} + ${keepMs}::double precision * interval '1 millisecond'`,
    })
    .where(and(lte(signingKeys.retiresAt, now), isNull(signingKeys.expiresAt)))
    .returning({ kid: signingKeys.kid })
  return retired.length
}

/** Deletes the keys whose last token has expired, everywhere; answers how many there were. */
export function deleteExpiredKeys(db: Database, now: Date): Promise<number> {
  return db.transaction(async (tx) => {
    const deleted = await tx
      .delete(signingKeys)
      .where(lte(signingKeys.expiresAt, now))
      .returning({ kid: signingKeys.kid })
    if (deleted.length > 0) await announceChange(tx, 'keys')
    return deleted.length
  })
}

async function findNewest(db: Database, algorithm: SigningAlgorithm) {
  const [newest] = await db
    .select({
      kid: signingKeys.kid,
      activatesAt: signingKeys.activatesAt,
      retiresAt: signingKeys.retiresAt,
    })
    .from(signingKeys)
    .where(eq(signingKeys.algorithm, algorithm))
    .orderBy(desc(signingKeys.activatesAt), asc(signingKeys.kid))
    .limit(1)
  return newest
}

type Newest = Awaited<ReturnType<typeof findNewest>>

/** False where an operator has deleted what signed: there may be none left, or only one that had retired before. */
const isSigning = (newest: Newest, now: Date): newest is NonNullable<Newest> =>
  newest !== undefined && (newest.retiresAt === null || newest.retiresAt > now)

const isDue = (newest: Newest, { intervalMs, publishAheadMs }: KeySchedule, now: Date) =>
  !isSigning(newest, now) ||
  newest.activatesAt.getTime() + intervalMs - publishAheadMs <= now.getTime()

/** An overdue switch still waits until everybody has had the time to fetch the new key. */
const nextSwitch = (activatesAt: Date, { intervalMs, publishAheadMs }: KeySchedule, now: Date) =>
  new Date(Math.max(activatesAt.getTime() + intervalMs, now.getTime() + publishAheadMs))

/**
 * Proofs that were used: a `jti` is accepted once, by whichever replica is first. What a request has used is given back if
 * the request then fails for our reasons: client libraries repeat it with the very same proof.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomInt } from 'node:crypto'
import { and, eq, lt, sql } from 'drizzle-orm'
import { deleteBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { statementDeadline } from '#/database/deadline.ts'
import { inTime, isPast, TooLateError } from '#/database/in-time.ts'
import { usedProofs } from '#/database/schema/used-proofs.ts'
import { settleAttempts, type Undone, undoInTime } from '#/domain/attempts/attempts.ts'
import { reserveRow } from '#/domain/row-limits/row-limits.ts'
import { sha256 } from '#/protocol/secrets.ts'
import type { ProofKind } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'

export interface UsedProof {
  readonly kind: ProofKind
  /** Within which a `jti` is unique: the client, or the thumbprint of the key that signed. */
  readonly owner: string
  readonly jti: string
  /** When it would be refused anyway. */
  readonly expiresAt: Date
}

/** What the request at hand has used, or tried to. */
const usedByRequest = new AsyncLocalStorage<Set<Use>>()

interface Use {
  readonly key: string
  /** When the row may go. Its fraction of a second is random, and tells uses of the same proof apart. */
  readonly expiresAt: string
  readonly deadline: Date
}

/** Runs a request, and gives back the proofs that it used if it answers that it failed for our reasons. */
export async function withProofs(db: Database, run: () => Promise<boolean>): Promise<void> {
  const uses = new Set<Use>()
  const failed = await usedByRequest.run(uses, run)
  if (failed) for (const use of uses) undoInTime(db, { key: keyOf(use), undo: undoing(use) })
}

/** Whether this is the first use: of any number of parallel ones, one is. */
export function consumeProof(
  db: Database,
  { kind, owner, jti, expiresAt }: UsedProof,
): Promise<boolean> {
  const use: Use = {
    key: sha256(JSON.stringify([kind, owner, jti])),
    expiresAt: withRandomFraction(new Date(expiresAt.getTime() + 1000)),
    deadline: statementDeadline(),
  }
  return span('proofs.use', async () => {
    usedByRequest.getStore()?.add(use)
    return reserveRow(
      db,
      'used_proofs',
      async () => (await insert(db, use)) || (await insertAfter(db, use)),
    )
  })
}

const withRandomFraction = (moment: Date) =>
  moment.toISOString().replace(/\d{3}Z$/, `${String(randomInt(1e6)).padStart(6, '0')}Z`)

async function insert(db: Database, { key, expiresAt, deadline }: Use): Promise<boolean> {
  const rows = await db
    .insert(usedProofs)
    .select(sql`select ${key}::text, ${expiresAt}::timestamptz where ${inTime(deadline)}`)
    .onConflictDoNothing()
    .returning({ key: usedProofs.key })
  return rows.length === 1
}

/** After a use that a failed request is about to give back. */
async function insertAfter(db: Database, use: Use): Promise<boolean> {
  if (await settleAttempts(db, keyOf(use))) return insert(db, use)
  const used = await db.$count(usedProofs, eq(usedProofs.key, use.key))
  if (used > 0) return false
  if (await isPast(db, use.deadline)) throw new TooLateError()
  // Given back since it was found.
  return insert(db, use)
}

/** Under which failed uses are kept in mind. */
const keyOf = ({ key }: Use) => `proof ${key}`

const undoing =
  ({ key, expiresAt, deadline }: Use) =>
  async (tx: Database): Promise<Undone> => {
    const over = await isPast(tx, deadline)
    const deleted = await tx
      .delete(usedProofs)
      .where(and(eq(usedProofs.key, key), sql`${usedProofs.expiresAt} = ${expiresAt}::timestamptz`))
      .returning({ key: usedProofs.key })
    return { restored: deleted.length > 0, over }
  }

/** Deletes up to `limit` proofs that expired before the given moment. */
export const deleteUsedProofs = (db: Database, before: Date, limit: number): Promise<number> =>
  deleteBatch(db, usedProofs, {
    key: usedProofs.key,
    where: lt(usedProofs.expiresAt, before),
    order: usedProofs.expiresAt,
    limit,
  })

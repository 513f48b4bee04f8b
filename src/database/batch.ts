/** Housekeeping in batches that cost the same whatever the statistics of a table say, and that cannot run on for ever. */
import { type SQL, sql } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import type { Database } from './client.ts'

/** Far beyond what a batch takes; one that takes longer waits for something, and is tried again at the next turn. */
const batchTimeoutMs = 10_000

/**
 * Until the end of the transaction, Postgres reads only by indexes and in their order, and gives up on a statement after a
 * while. The statistics of a table that has just grown are those of before; a plan made of them may read it for each row.
 */
export async function boundBatch(tx: Database): Promise<void> {
  const off = ['enable_seqscan', 'enable_bitmapscan', 'enable_sort', 'enable_hashjoin'].map(
    (name) => sql`set_config(${name}, 'off', true)`,
  )
  const timeout = sql`set_config('statement_timeout', ${String(batchTimeoutMs)}, true)`
  await tx.execute(sql`select ${sql.join([...off, timeout], sql`, `)}`)
}

export interface Batch {
  readonly key: PgColumn
  readonly where: SQL | undefined
  /** What the index that leads to the rows begins with. */
  readonly order: PgColumn
  readonly limit: number
}

/**
 * The rows of one batch as a condition on `key`: locked in the order of an index, without those that another replica holds.
 * An array is made once, before anything else is read; the planner is free to ask a subquery for each row of the table. Locked
 * rows still match, so it should stand alone: any condition beside it invites the planner to go by that one's index instead.
 */
export function inBatch(db: Database, table: PgTable, { key, where, order, limit }: Batch): SQL {
  const rows = db
    .select({ key })
    .from(table)
    .where(where)
    .orderBy(order)
    .limit(limit)
    .for('update', { skipLocked: true })
  return sql`${key} = any(array${rows})`
}

/** Deletes at most `limit` rows that match, leaving those that another replica is deleting; answers how many. */
export function deleteBatch(db: Database, table: PgTable, batch: Batch): Promise<number> {
  return db.transaction(async (tx) => {
    await boundBatch(tx)
    const deleted = await tx
      .delete(table)
      .where(inBatch(tx, table, batch))
      .returning({ key: batch.key })
    return deleted.length
  })
}

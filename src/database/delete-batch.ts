import { inArray, type SQL } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import type { Database } from './client.ts'

/** Deletes at most `limit` rows that match, leaving those that another replica is deleting; answers how many. */
export async function deleteBatch(
  db: Database,
  table: PgTable,
  { key, where, limit }: { key: PgColumn; where: SQL | undefined; limit: number },
): Promise<number> {
  const batch = db
    .select({ key })
    .from(table)
    .where(where)
    .limit(limit)
    .for('update', { skipLocked: true })
  return (await db.delete(table).where(inArray(key, batch)).returning({ key })).length
}

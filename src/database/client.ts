/** The handle that everything above this floor speaks to the database with; `open-database.ts` makes one. */
import { sql } from 'drizzle-orm'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import type { schema } from './schema.ts'

export type Database = PgDatabase<PgQueryResultHKT, typeof schema>

/** Sends a NOTIFY that other replicas receive when the surrounding transaction commits. */
export async function notify(tx: Database, channel: string, payload: string): Promise<void> {
  await tx.execute(sql`select pg_notify(${channel}, ${payload})`)
}

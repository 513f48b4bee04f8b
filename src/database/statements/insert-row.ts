import { getTableColumns, type InferInsertModel, type InferSelectModel, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { Database } from '#/database/client.ts'
import { prepared } from './prepared.ts'

/** Every column but those that Postgres makes itself; none is left to its default. */
export type WholeRow<T extends PgTable> = Pick<
  InferSelectModel<T>,
  keyof InferInsertModel<T> & keyof InferSelectModel<T>
>

/** Makes the statement that inserts a whole row; it is built once. */
export function rowInserter<T extends PgTable>(
  table: T,
): (db: Database, row: WholeRow<T>) => Promise<unknown> {
  const placeholders = Object.entries(getTableColumns(table))
    .filter(([, { generated, generatedIdentity }]) => !generated && !generatedIdentity)
    .map(([name]) => [name, sql.placeholder(name)])
  return prepared((db) => db.insert(table).values(Object.fromEntries(placeholders)))
}

/** `insert … select`: rows that are stored only if another row is there, in one and the same prepared statement. */
import { getTableColumns, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'

/**
 * Puts one row in for each row of `source`; what the row is comes when the statement runs, from `valuesFor`, but for what
 * the database itself computes.
 */
export function insertForEach(
  source: SQLWrapper,
  table: PgTable,
  name: string,
  computed: Readonly<Record<string, SQL>> = {},
): SQL {
  const columns = Object.entries(getTableColumns(table)).filter(
    ([, column]) => column.generatedIdentity === undefined,
  )
  const names = columns.map(([, column]) => sql.identifier(column.name))
  const values = columns.map(
    ([key, column]) => computed[key] ?? sql.param(sql.placeholder(slot(name, key)), column),
  )
  return sql`insert into ${table} (${sql.join(names, sql`, `)}) select ${sql.join(values, sql`, `)} from ${source}`
}

/** The values of that row; null where it has none. */
export const valuesFor = (name: string, row: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).map(([key, value]) => [slot(name, key), value]))

const slot = (name: string, key: string) => `${name}.${key}`

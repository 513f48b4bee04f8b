/**
 * Statements that are built once: the only door of this room.
 *
 * Why. Drizzle makes the text of a statement anew for each call and asks for each value of each row what it is and where it
 * belongs; Postgres then parses and plans the text again. For the short statements of a token request that cost more than
 * all the rest of it (docs/decisions/0016). `prepared` leaves building, parsing and planning to the first call, and reads
 * rows by a plan that is made once (`row-reader.ts`). Drizzle's own `.prepare()` will not do: it is bound to one handle, so
 * it is of no use in transactions, and its placeholders stumble over null.
 *
 * What it leans on that Drizzle keeps to itself (`drizzle-internals.ts`, the only file that touches it):
 * - a prepared query knows `fields`, its selected fields in order, and `joinsNotNullableMap`, which parts are always there;
 * - `session.prepareQuery(query, fields, name, isArrayMode, mapper)` sends a text and gives the rows, as arrays, to the mapper.
 *
 * When an upgrade changes that, `test/domain/statements.test.ts` fails and says what is different. Until this room is
 * mended nothing else breaks: a statement whose insides are not as expected is built by Drizzle for each call, on the same
 * handle and with the same rows, merely slower.
 */
import {
  getTableColumns,
  type InferInsertModel,
  type InferSelectModel,
  type Placeholder,
  type SQL,
  type SQLWrapper,
  sql,
} from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { Database } from '#/database/client.ts'
import { type Preparable, type Run, runnerOf } from './drizzle-internals.ts'
import { slot, slots, withValues } from './slots.ts'

/** Each stands in a statement where a value will be. */
export type Placeholders<V> = { readonly [K in keyof V & string]: Placeholder<K> }

/**
 * A function that runs the statement on any handle, a transaction's too. For statements that find their rows by a key:
 * Postgres may settle for one plan whatever the values.
 */
export function prepared<V extends object, T>(
  build: (db: Database, slots: Placeholders<V>) => Preparable<T>,
): Run<V, T> {
  const places = slots as Placeholders<V>
  let run: Run<V, T> | undefined
  return (db, values) => {
    run ??=
      runnerOf<V, T>(db, build(db, places)) ??
      ((on, given) => withValues(given, () => build(on, places)).execute())
    return run(db, values)
  }
}

/** Every column but those that Postgres makes itself; none is left to its default. */
export type WholeRow<T extends PgTable> = Pick<
  InferSelectModel<T>,
  keyof InferInsertModel<T> & keyof InferSelectModel<T>
>

/** Makes the statement that inserts a whole row. */
export function rowInserter<T extends PgTable>(table: T): Run<WholeRow<T>, unknown> {
  const names = Object.entries(getTableColumns(table))
    .filter(([, { generated, generatedIdentity }]) => !generated && !generatedIdentity)
    .map(([name]) => name)
  return prepared((db) => {
    const values = names.map((name) => [name, slot(name)])
    return db.insert(table).values(Object.fromEntries(values))
  })
}

/**
 * `insert … select`, as part of a prepared statement: puts one row in for each row of `source`. What the row is comes when
 * the statement runs, from `valuesFor`, but for what the database itself computes.
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
    ([key, column]) => computed[key] ?? sql.param(slot(slotName(name, key)), column),
  )
  return sql`insert into ${table} (${sql.join(names, sql`, `)}) select ${sql.join(values, sql`, `)} from ${source}`
}

/** The values of that row; null where it has none. */
export const valuesFor = (name: string, row: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).map(([key, value]) => [slotName(name, key), value]))

/** Rows of `source` for as long as the value of that name is true, when the statement runs. */
export const onlyIf = (source: SQLWrapper, name: string): SQL => sql`${source} where ${slot(name)}`

const slotName = (name: string, key: string) => `${name}.${key}`

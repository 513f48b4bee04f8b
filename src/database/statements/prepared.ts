/**
 * Statements that are built once. Drizzle makes the text of a statement anew for each call, which costs more than the
 * rest of a short request, and sends it to be parsed and planned again; this leaves both to the first call.
 */
import { is, Param, Placeholder, sql } from 'drizzle-orm'
import type { PgPreparedQuery, PreparedQueryConfig } from 'drizzle-orm/pg-core'
import type { Database } from '#/database/client.ts'
import { type Field, rowReader } from './row-reader.ts'

/** Stands in a statement where a value will be. */
export type Placeholders<V> = { readonly [K in keyof V & string]: Placeholder<K> }

interface Preparable<T> {
  prepare(name: string): PgPreparedQuery<PreparedQueryConfig & { execute: T }>
}

/** What Drizzle keeps to itself of a statement, though it is all that is needed to read its rows. */
interface Built<T> extends PgPreparedQuery<PreparedQueryConfig & { execute: T }> {
  readonly fields?: readonly Field[]
  readonly joinsNotNullableMap?: Readonly<Record<string, boolean>>
}

/**
 * A function that runs the statement on any handle, a transaction's too. For statements that find their rows by a key:
 * Postgres may settle for one plan whatever the values.
 */
export function prepared<V extends object, T>(
  build: (db: Database, placeholders: Placeholders<V>) => Preparable<T>,
): (db: Database, values: V) => Promise<T> {
  let built: ReturnType<typeof buildOnce<V, T>> | undefined
  return (db, values) => {
    built ??= buildOnce(build(db, placeholders as Placeholders<V>))
    const { text, fill, read } = built
    const query = { sql: text, params: fill(values) }
    return db._.session
      .prepareQuery<PreparedQueryConfig & { execute: T }>(query, undefined, text, true, read)
      .execute()
  }
}

const placeholders = new Proxy(
  {},
  {
    get: (_target, name) => sql.placeholder(String(name)),
    ownKeys() {
      throw new Error(
        'placeholders are named one by one: what they are is known to the compiler alone',
      )
    },
  },
)

function buildOnce<V extends object, T>(preparable: Preparable<T>) {
  const query = preparable.prepare('once') as Built<T>
  const { sql: text, params } = query.getQuery()
  const encoders = params.map(encoderOf)
  const read = query.fields && rowReader(query.fields, query.joinsNotNullableMap ?? {})
  return {
    text,
    fill: (values: V) => encoders.map((encode) => encode(values as Record<string, unknown>)),
    read: read && ((rows: unknown[][]) => rows.map(read) as T),
  }
}

/** Drizzle's own way of filling in stumbles over null. */
function encoderOf(parameter: unknown): (values: Record<string, unknown>) => unknown {
  if (is(parameter, Placeholder)) {
    const { name } = parameter
    return (values) => (values[name] instanceof Date ? values[name].toISOString() : values[name])
  }
  if (is(parameter, Param) && is(parameter.value, Placeholder)) {
    const { encoder, value } = parameter
    return (values) => {
      const given = values[value.name] ?? null
      return given === null ? null : encoder.mapToDriverValue(given)
    }
  }
  return () => parameter
}

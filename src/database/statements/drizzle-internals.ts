/** What Drizzle keeps to itself of a statement, though it is all that is needed to run it and to read its rows. */
import { is, Param, Placeholder } from 'drizzle-orm'
import type { PgPreparedQuery, PreparedQueryConfig } from 'drizzle-orm/pg-core'
import type { Database } from '#/database/client.ts'
import { type Field, isField, rowReader } from './row-reader.ts'

export type Run<V, T> = (db: Database, values: V) => Promise<T>

type Query<T> = PgPreparedQuery<PreparedQueryConfig & { execute: T }>

export interface Preparable<T> {
  prepare(name: string): Query<T>
  execute(): Promise<T>
}

interface Inner<T> extends Query<T> {
  readonly fields: readonly Field[] | undefined
  readonly joinsNotNullableMap: Readonly<Record<string, boolean>> | undefined
}

/** Runs the statement as it is built now; undefined when its insides are not what they should be. */
export function runnerOf<V extends object, T>(
  db: Database,
  statement: Preparable<T>,
): Run<V, T> | undefined {
  const query = statement.prepare('once')
  if (findMisfit(db, query) !== undefined) return undefined
  const { fields, joinsNotNullableMap = {} } = query as Inner<T>
  const { sql: text, params } = query.getQuery()
  const encoders = params.map(encoderOf)
  const read = fields && rowReader(fields, joinsNotNullableMap)
  const readAll = read && ((rows: unknown[][]) => rows.map(read) as T)
  return (on, values) => {
    const given = values as Readonly<Record<string, unknown>>
    const filled = { sql: text, params: encoders.map((encode) => encode(given)) }
    return on._.session
      .prepareQuery<PreparedQueryConfig & { execute: T }>(filled, undefined, text, true, readAll)
      .execute()
  }
}

/** What has changed in Drizzle, in words; undefined when all is as this room needs it. */
export function findMisfit(db: Database, query: Query<unknown>): string | undefined {
  for (const name of ['fields', 'joinsNotNullableMap'])
    if (!(name in query)) return `a prepared query has no "${name}"`
  const { fields } = query as Inner<unknown>
  if (fields !== undefined && !(Array.isArray(fields) && fields.every(isField)))
    return 'the "fields" of a prepared query are no list of paths and columns'
  const mapper = (rows: unknown[][]) => rows
  const probe = db._.session.prepareQuery(query.getQuery(), undefined, 'probe', true, mapper)
  if (!('customResultMapper' in probe) || probe.customResultMapper !== mapper)
    return 'session.prepareQuery takes no mapper as its fifth argument'
  return undefined
}

/** Drizzle's own way of filling in stumbles over null. */
function encoderOf(parameter: unknown): (values: Readonly<Record<string, unknown>>) => unknown {
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

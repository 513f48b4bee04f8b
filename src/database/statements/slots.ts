/** Where the values of a prepared statement will be; while one is built for a single call, the values themselves. */
import { type Placeholder, sql } from 'drizzle-orm'

let given: Readonly<Record<string, unknown>> | undefined

/** The place of one value. */
export const slot = <K extends string>(name: K): Placeholder<K> =>
  given === undefined ? sql.placeholder(name) : (sendable(given[name]) as Placeholder<K>)

/** Builds a statement that has these values in it. Building never waits, so that no other can come in between. */
export function withValues<T>(values: object, build: () => T): T {
  given = { ...values }
  try {
    return build()
  } finally {
    given = undefined
  }
}

/** Any of them, by its name. */
export const slots: object = new Proxy(
  {},
  {
    get: (_target, name) => slot(String(name)),
    ownKeys() {
      throw new Error(
        'placeholders are named one by one: what they are is known to the compiler alone',
      )
    },
  },
)

/** Beside no column, Drizzle hands a Date to the driver as it is, which cannot send it. */
const sendable = (value: unknown): unknown =>
  value instanceof Date
    ? Object.assign(new Date(value), { getSQL: () => sql`${value.toISOString()}` })
    : (value ?? null)

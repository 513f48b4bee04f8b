/**
 * Limits on tables that unauthenticated requests can grow. Compares the limit with a count some seconds old plus the
 * rows that this process has added since: no request waits for a count, and a burst cannot get far past the limit.
 */
import type { Database } from '#/database/client.ts'
import { withoutDeadline } from '#/database/deadline.ts'
import type { BoundedTable } from '#/protocol/vocabulary.ts'
import { countRows } from './count-rows.ts'

/** A row was not made, since its table is full. */
export class TableFullError extends Error {
  override readonly name = 'TableFullError'
  readonly table: BoundedTable

  constructor(table: BoundedTable) {
    super(`${table} is full`)
    this.table = table
  }
}

/** The most rows of each table. */
export type RowLimits = Readonly<Record<BoundedTable, number>>

interface Fill {
  counted: number
  countedAt: number
  /** How long the last count took. */
  tookMs: number
  /** Added by this process since the last count began. */
  added: number
  /** About to be added. */
  underway: number
  counting: Promise<void> | undefined
}

interface Bounded {
  readonly limits: RowLimits
  readonly fills: Map<BoundedTable, Fill>
}

/** A replica is itself: it knows of others what the next count says. */
const bounded = new WeakMap<Database, Bounded>()

const freshMs = 5000
/** Counting a long table takes a fiftieth of the time at most. */
const pausesPerCount = 50
/** A full table is looked at again sooner: something may have been swept. */
const fullMs = 1000

/** From now on no more rows than these are made through this handle. */
export const limitRows = (db: Database, limits: RowLimits): void => {
  bounded.set(db, { limits, fills: new Map() })
}

/** Inserts a row if its table is below the limit; throws `TableFullError`. A handle without limits always inserts. */
export async function reserveRow<T>(
  db: Database,
  table: BoundedTable,
  insert: () => Promise<T>,
): Promise<T> {
  const { limits, fills } = bounded.get(db) ?? {}
  if (!limits || !fills) return insert()
  const fill = fills.get(table) ?? emptyFill()
  fills.set(table, fill)
  const count = () => recount(db, table, { fill, most: limits[table] })
  const age = performance.now() - fill.countedAt
  if (age > Math.max(freshMs, pausesPerCount * fill.tookMs)) {
    const counted = count()
    if (fill.countedAt === Number.NEGATIVE_INFINITY) await counted
  }
  if (isFull(fill, limits[table]) && age > fullMs) await count()
  if (isFull(fill, limits[table])) throw new TableFullError(table)
  return inserting(fill, insert)
}

const emptyFill = (): Fill => ({
  counted: 0,
  countedAt: Number.NEGATIVE_INFINITY,
  tookMs: 0,
  added: 0,
  underway: 0,
  counting: undefined,
})

const isFull = ({ counted: known, added, underway }: Fill, most: number) =>
  known + added + underway >= most

async function inserting<T>(fill: Fill, insert: () => Promise<T>): Promise<T> {
  fill.underway += 1
  try {
    const row = await insert()
    fill.added += 1
    return row
  } finally {
    fill.underway -= 1
  }
}

/** One at a time. A database that cannot count will not insert, either: the last count stands. */
function recount(
  db: Database,
  table: BoundedTable,
  { fill, most }: { fill: Fill; most: number },
): Promise<void> {
  const before = fill.added
  const start = performance.now()
  fill.counting ??= withoutDeadline(() => countRows(db, table, most))
    .then((rows) => {
      fill.counted = rows
      fill.added -= before
    })
    .catch(() => undefined)
    .finally(() => {
      fill.countedAt = performance.now()
      fill.tookMs = fill.countedAt - start
      fill.counting = undefined
    })
  return fill.counting
}

/**
 * Times every statement and transaction at the driver, below Drizzle, so that nothing that reaches the
 * database escapes the count (`db.client.operation.duration`) and the pools know how busy they are.
 */
import type { PGlite, Transaction } from '@electric-sql/pglite'
import type postgres from 'postgres'
import type { DatabaseErrorType, DatabaseOperation } from '#/telemetry/conventions.ts'

export type RecordOperation = (
  operation: DatabaseOperation,
  seconds: number,
  error?: DatabaseErrorType,
) => void

/** How many statements and transactions are under way on a pool, for its connection gauges. */
export interface PoolUse {
  readonly name: 'main' | 'population'
  readonly max: number
  inFlight: number
}

export const createPoolUse = (name: PoolUse['name'], max: number): PoolUse => ({
  name,
  max,
  inFlight: 0,
})

/** Wraps a postgres.js client in place. Its queries are lazy: the clock starts when one is awaited. */
export function instrumentPostgres(
  client: postgres.Sql,
  use: PoolUse,
  record: RecordOperation,
): void {
  wrapUnsafe(client, use, record)
  const begin = client.begin.bind(client) as (...args: unknown[]) => Promise<unknown>
  const timedBegin = (...args: unknown[]) => {
    const body = args.at(-1) as (tx: postgres.TransactionSql) => unknown
    const instrumented = (tx: postgres.TransactionSql) => {
      wrapUnsafe(tx, undefined, record)
      return body(tx)
    }
    return timed('BEGIN', use, record, () => begin(...args.slice(0, -1), instrumented))
  }
  client.begin = timedBegin as typeof client.begin
}

/** Wraps a PGlite client in place, and the handle of each transaction it opens. */
export function instrumentPglite(client: PGlite, use: PoolUse, record: RecordOperation): void {
  wrapQuery(client, use, record)
  const transaction = client.transaction.bind(client)
  client.transaction = (body) =>
    timed('BEGIN', use, record, () =>
      transaction((tx) => {
        wrapQuery(tx, undefined, record)
        return body(tx)
      }),
    ) as ReturnType<typeof transaction<Awaited<ReturnType<typeof body>>>>
}

type PendingQuery = ReturnType<postgres.Sql['unsafe']>

function wrapUnsafe(
  client: Pick<postgres.Sql, 'unsafe'>,
  use: PoolUse | undefined,
  record: RecordOperation,
) {
  const unsafe = client.unsafe.bind(client) as (...args: unknown[]) => PendingQuery
  const wrapped = (text: string, ...rest: unknown[]) => {
    const query = unsafe(text, ...rest)
    const run = query.then.bind(query)
    // biome-ignore lint/suspicious/noThenProperty: postgres.js runs a query when its `then` is called; there is no other hook
    query.then = (onDone, onFailed) =>
      timed(operationOf(text), use, record, () => run((rows) => rows)).then(onDone, onFailed)
    return query
  }
  client.unsafe = wrapped as typeof client.unsafe
}

function wrapQuery(
  client: PGlite | Transaction,
  use: PoolUse | undefined,
  record: RecordOperation,
) {
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  const wrapped = (text: string, ...rest: unknown[]) =>
    timed(operationOf(text), use, record, () => query(text, ...rest))
  client.query = wrapped as typeof client.query
}

async function timed<T>(
  operation: DatabaseOperation,
  use: PoolUse | undefined,
  record: RecordOperation,
  run: () => Promise<T>,
): Promise<T> {
  const start = performance.now()
  if (use) use.inFlight += 1
  try {
    const result = await run()
    record(operation, (performance.now() - start) / 1000)
    return result
  } catch (error) {
    record(operation, (performance.now() - start) / 1000, errorTypeOf(error))
    throw error
  } finally {
    if (use) use.inFlight -= 1
  }
}

/** `with` stands before the SELECT of a count, or before what it writes. */
const operations: Record<string, DatabaseOperation> = {
  s: 'SELECT',
  w: 'SELECT',
  i: 'INSERT',
  u: 'UPDATE',
  d: 'DELETE',
}

const operationOf = (text: string): DatabaseOperation =>
  text.startsWith('with ') && text.includes(' insert into ')
    ? 'INSERT'
    : (operations[text.charAt(0).toLowerCase()] ?? 'other')

/** SQLSTATE classes: 57014 is a cancelled statement, 08 a lost connection, 23 a broken constraint. */
function errorTypeOf(error: unknown): DatabaseErrorType {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === '57014' || code === '55P03') return 'timeout'
  if (code.startsWith('23')) return 'constraint'
  if (code.startsWith('08') || code.startsWith('CONNECTION') || code.startsWith('ECONN'))
    return 'connection'
  return 'other'
}

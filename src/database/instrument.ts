/**
 * Times every statement and transaction at the driver, below Drizzle, so that nothing that reaches the
 * database escapes the count (`db.client.operation.duration`) and the pools know how busy they are.
 */
import type { PGlite, Transaction } from '@electric-sql/pglite'
import type { DatabaseErrorType, DatabaseOperation } from '#/telemetry/conventions.ts'
import { deadlineAt } from './deadline.ts'
import { errorTypeOf, lateError } from './errors.ts'

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

/**
 * Wraps a PGlite client in place, and the handle of each transaction it opens. It serves one at a time: whose time is over
 * when its turn comes does not begin, and a transaction whose time is over is rolled back.
 */
export function instrumentPglite(client: PGlite, use: PoolUse, record: RecordOperation): void {
  const inTurn = createTurns()
  wrapQuery(client, (text, run) => timed(operationOf(text), use, record, () => inTurn(run)))
  const transaction = client.transaction.bind(client)
  client.transaction = (body) => {
    const bounded = async (tx: Transaction) => {
      wrapQuery(tx, (text, run) =>
        timed(operationOf(text), undefined, record, async () => inTime(run)),
      )
      const result = await body(tx)
      return inTime(() => result)
    }
    return timed('BEGIN', use, record, () => inTurn(() => transaction(bounded)))
  }
}

function createTurns() {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(run: () => Promise<T>): Promise<T> => {
    const turn = last.then(() => inTime(run))
    last = turn.catch(() => undefined)
    return turn
  }
}

function inTime<T>(run: () => T): T {
  if (performance.now() >= deadlineAt()) throw lateError()
  return run()
}

type Around = (text: string, run: () => Promise<unknown>) => Promise<unknown>

function wrapQuery(client: PGlite | Transaction, around: Around) {
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  const wrapped = (text: string, ...rest: unknown[]) => around(text, () => query(text, ...rest))
  client.query = wrapped as typeof client.query
}

/** Runs and records it; with a pool, it counts there as long as it is under way. */
export async function timed<T>(
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

export const operationOf = (text: string): DatabaseOperation =>
  text.startsWith('with ') && text.includes(' insert into ')
    ? 'INSERT'
    : (operations[text.charAt(0).toLowerCase()] ?? 'other')

/** What Drizzle takes for the driver's client: statements and transactions, each on a connection of the pool. */
import type postgres from 'postgres'
import type { Answer, Connection, Driver, Statement } from './connection.ts'
import { deadlineAt, statementDeadline } from './deadline.ts'
import { codeOf, isConflict, lateError } from './errors.ts'
import { operationOf, type PoolUse, type RecordOperation, timed } from './instrument.ts'
import type { Pool } from './pool.ts'

export interface ClientOptions {
  readonly types: Driver['types']
  readonly use: PoolUse
  readonly record: RecordOperation
}

interface Client {
  unsafe(text: string, parameters?: readonly unknown[], options?: { prepare?: boolean }): Pending
}

interface TransactionClient extends Client {
  savepoint<T>(body: (client: TransactionClient) => Promise<T>): Promise<T>
}

/** Runs when it is awaited, or at once for rows as arrays. */
interface Pending extends PromiseLike<Answer> {
  values(): Promise<Answer>
}

/** How often a transaction is tried that gave way to others (SQLSTATE 40001, 40P01). */
const attempts = 3

export function createClient(pool: Pool, { types, use, record }: ClientOptions): postgres.Sql {
  const once = (statement: Statement) => {
    pool.availability.require()
    const lateAt = pool.lateAt()
    return timed(operationOf(statement.text), use, record, () =>
      pool.use(lateAt, (connection) => connection.run(statement, lateAt)),
    )
  }
  const client = {
    options: types,
    unsafe: pending((statement) => repeated(() => once(statement))),
    async begin<T>(body: (client: TransactionClient) => Promise<T>): Promise<T> {
      pool.availability.require()
      return timed('BEGIN', use, record, () =>
        pool.use(pool.lateAt(), (connection) =>
          repeated(() => runTransaction({ connection, pool, types, record }, body)),
        ),
      )
    },
  }
  return client as unknown as postgres.Sql
}

/** What gave way has changed nothing, so it is done again as a whole. */
async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await work()
    } catch (error) {
      if (attempt === attempts || !isConflict(error)) throw error
    }
}

const pending =
  (run: (statement: Statement) => Promise<Answer>): Client['unsafe'] =>
  (text, parameters = [], { prepare } = {}) => {
    const statement = { text, parameters, ...(prepare !== undefined && { prepare }) }
    return {
      values: () => run({ ...statement, asArrays: true }),
      // biome-ignore lint/suspicious/noThenProperty: Drizzle may still ask for arrays, so it runs when it is awaited
      then: (onDone, onFailed) => run(statement).then(onDone, onFailed),
    }
  }

interface Transaction {
  readonly connection: Connection
  readonly pool: Pool
  readonly types: Driver['types']
  readonly record: RecordOperation
}

/** A transaction or savepoint: a statement that failed in it and was not rolled back fails it, even if the error was caught. */
interface Scope {
  isOpen: boolean
  failure?: { readonly error: unknown }
}

async function runTransaction<T>(
  transaction: Transaction,
  body: (client: TransactionClient) => Promise<T>,
): Promise<T> {
  const { connection, pool } = transaction
  const run = (text: string) => connection.run({ text }, pool.lateAt())
  await run('begin')
  try {
    const result = await runScope(transaction, body)
    await commit(run)
    return result
  } catch (error) {
    // Ours also when the time of the request is over.
    if (!connection.isLost)
      await connection.run({ text: 'rollback' }, performance.now() + rollbackMs).catch(() => {})
    throw error
  }
}

const rollbackMs = 5000

/**
 * Commits unless it is too late: a frozen server that finds this in its socket when it goes on must not act for a
 * request that was refused meanwhile. What follows a statement that fails is skipped (the manual, 55.2.2.1).
 */
async function commit(run: (text: string) => Promise<Answer>) {
  const deadline = statementDeadline().toISOString()
  try {
    // The driver keeps the last command, which a transaction that has failed answers by ROLLBACK and without an error.
    const { command } = await run(
      `select 1 / (clock_timestamp() < timestamptz '${deadline}')::int; commit`,
    )
    if (command !== 'COMMIT') throw new Error('the transaction was rolled back')
  } catch (error) {
    throw codeOf(error) === divisionByZero ? lateError() : error
  }
}

const divisionByZero = '22012'

async function runScope<T>(
  transaction: Transaction,
  body: (client: TransactionClient) => Promise<T>,
): Promise<T> {
  const scope: Scope = { isOpen: true }
  try {
    const result = await body(clientOf(transaction, scope))
    if (scope.failure) throw scope.failure.error
    return result
  } catch (error) {
    // 25P02 only says that something has failed before.
    throw codeOf(error) === '25P02' && scope.failure ? scope.failure.error : error
  } finally {
    scope.isOpen = false
  }
}

function clientOf(transaction: Transaction, scope: Scope): TransactionClient {
  const { connection, pool, record } = transaction
  async function run(statement: Statement) {
    if (!scope.isOpen) throw new Error('the transaction has ended')
    if (performance.now() >= deadlineAt()) throw lateError()
    try {
      return await timed(operationOf(statement.text), undefined, record, () =>
        connection.run(statement, pool.lateAt()),
      )
    } catch (error) {
      scope.failure ??= { error }
      throw error
    }
  }
  return {
    unsafe: pending(run),
    savepoint: (body) => runSavepoint(transaction, body),
  }
}

async function runSavepoint<T>(
  transaction: Transaction,
  body: (client: TransactionClient) => Promise<T>,
): Promise<T> {
  const { connection, pool } = transaction
  const run = (text: string) => connection.run({ text }, pool.lateAt())
  await run('savepoint inside')
  try {
    const result = await runScope(transaction, body)
    await run('release savepoint inside')
    return result
  } catch (error) {
    // One that stays would hide the one around it, which has the same name.
    if (!connection.isLost) await run('rollback to savepoint inside; release savepoint inside')
    throw error
  }
}

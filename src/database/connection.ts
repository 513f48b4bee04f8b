/**
 * One connection to Postgres: a driver of its own that is never used again once its socket is gone. The driver would
 * connect anew behind the back of whoever holds the old connection: a statement of a broken transaction would run alone
 * or inside somebody else's, others would never be answered, and a write to the missing socket ends the process.
 */
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { keepDatabaseTime } from './deadline.ts'
import { connectionError, endsConnection, lateError } from './errors.ts'

export type DriverOptions = postgres.Options<Record<string, never>> & {
  /** Not among the driver's types. */
  readonly socket: () => Promise<Duplex>
}

/** Where to connect to, and how. */
export interface Driver {
  readonly options: DriverOptions
  /** Drizzle's own, which it puts into the client it is given. */
  readonly types: Pick<postgres.ParsedOptions, 'parsers' | 'serializers'>
  /** Called with every error that the server reports. */
  readonly onError?: (error: unknown) => void
}

export interface Statement {
  readonly text: string
  readonly parameters?: readonly unknown[]
  readonly prepare?: boolean
  /** Rows as arrays of values. */
  readonly asArrays?: boolean
}

/** What the driver answers: rows, which command it was, and the process that the server named at the beginning. */
export type Answer = readonly unknown[] & {
  readonly command?: string
  readonly state?: { readonly pid?: number }
}

export interface Connection {
  readonly openedAt: number
  readonly isLost: boolean
  /** Rejects with an outage when there is no answer until `lateAt` (of `performance.now()`); the connection is lost then. */
  run(statement: Statement, lateAt: number): Promise<Answer>
  /** Gives up what ran too long. */
  checkTime(now: number): void
  /** Closes it immediately: running statements are rejected, and cancelled at the server. */
  destroy(error: Error): void
  /** Ends it when what runs on it has ended, after a second at most. */
  close(): Promise<void>
}

interface Running {
  readonly query: postgres.PendingQuery<postgres.Row[]>
  readonly lateAt: number
  reject(error: unknown): void
}

const retryPauseMs = 50

const hello = 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as "now"'

/** Connects and asks for the time within the bound, or leaves nothing behind. `onLost` is called once, when it is of no more use. */
export async function openConnection(
  driver: Driver,
  boundMs: number,
  onLost: (connection: Connection) => void,
): Promise<Connection> {
  let established = false
  const connection = createConnection(driver, boundMs, () => {
    if (established) onLost(connection)
  })
  try {
    const [row] = await runWithin(connection, { text: hello }, boundMs)
    keepDatabaseTime(Number((row as { now: number }).now), performance.now())
    established = true
    return connection
  } catch (error) {
    connection.destroy(asError(error))
    throw error
  }
}

/** The connect timeout and a little more, so that the socket's own timeout comes first: its error says what is wrong. */
export const openingBoundMs = ({ connect_timeout: seconds }: DriverOptions): number =>
  (Number(seconds ?? 10) + 1) * 1000

/** Runs a statement on a connection that no pool watches over. */
export async function runWithin(
  connection: Connection,
  statement: Statement,
  boundMs: number,
): Promise<Answer> {
  const lateAt = performance.now() + boundMs
  const timer = setTimeout(() => connection.checkTime(lateAt), boundMs)
  try {
    return await connection.run(statement, lateAt)
  } finally {
    clearTimeout(timer)
  }
}

function createConnection(driver: Driver, boundMs: number, onLost: () => void): Connection {
  const running = new Set<Running>()
  const sockets = new Set<Duplex>()
  let lost: Error | undefined
  let cancelling = false
  const client = connect(driver, boundMs, {
    async openSocket() {
      const toCancel = cancelling
      if (lost && !toCancel) throw lost
      // The driver tries again without a pause when a server hangs up during the handshake.
      if (sockets.size > 0 && !toCancel) await sleep(retryPauseMs)
      const socket = await driver.options.socket()
      if (toCancel) destroyAfter(socket, boundMs)
      else sockets.add(socket)
      if (lost && !toCancel) socket.destroy()
      return socket
    },
    onClose: () => lose(connectionError('the connection was closed', 'CONNECTION_CLOSED')),
  })

  function lose(error: Error) {
    if (lost) return
    lost = error
    for (const { reject } of running) reject(error)
    running.clear()
    for (const socket of sockets) socket.destroy()
    onLost()
  }

  async function run(statement: Statement, lateAt: number): Promise<Answer> {
    if (lost) throw lost
    if (performance.now() >= lateAt) throw lateError()
    const query = send(client, statement)
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const own = { query, lateAt, reject }
    running.add(own)
    query.then(resolve, (error: unknown) => {
      driver.onError?.(error)
      if (endsConnection(error)) lose(asError(error))
      reject(error)
    })
    try {
      return await promise
    } finally {
      running.delete(own)
    }
  }

  /** Cancels at the server, too, which would otherwise finish statements that nobody waits for. */
  function destroy(error: Error) {
    cancelling = true
    for (const { query } of running) void Promise.resolve(query.cancel()).catch(() => {})
    cancelling = false
    lose(error)
  }

  function checkTime(now: number) {
    for (const { lateAt } of running) if (now >= lateAt) return destroy(lateError())
  }

  return {
    openedAt: performance.now(),
    get isLost() {
      return lost !== undefined
    },
    run,
    checkTime,
    destroy,
    async close() {
      await client.end({ timeout: 1 })
      lose(connectionError('the connection was ended', 'CONNECTION_ENDED'))
    },
  }
}

interface Hooks {
  readonly openSocket: () => Promise<Duplex>
  readonly onClose: () => void
}

function connect({ options, types }: Driver, boundMs: number, hooks: Hooks): postgres.Sql {
  const own: DriverOptions = {
    ...options,
    max: 1,
    // A pool decides how long a connection lives: the driver might end it in the middle of a transaction.
    max_lifetime: null,
    connect_timeout: boundMs / 1000,
    // Drizzle handles arrays itself; and the driver's type query would be an unhandled rejection when its connection dies.
    fetch_types: false,
    onclose: hooks.onClose,
    socket: hooks.openSocket,
  }
  const client = postgres(own)
  Object.assign(client.options.parsers, types.parsers)
  Object.assign(client.options.serializers, types.serializers)
  return client
}

function send(client: postgres.Sql, { text, parameters = [], prepare, asArrays }: Statement) {
  const options = prepare === undefined ? {} : { prepare }
  const query = client.unsafe(text, [...parameters] as never[], options)
  return (asArrays ? query.values() : query) as unknown as Running['query']
}

const destroyAfter = (socket: Duplex, ms: number) => {
  const timer = setTimeout(() => socket.destroy(), ms)
  socket.once('close', () => clearTimeout(timer))
}

export const asError = (error: unknown) =>
  error instanceof Error ? error : new Error(String(error))

/**
 * The connections to Postgres and the queue in front of them. One statement or transaction has a connection to itself; who
 * waits for one can be turned away at any time, since nothing was sent; and nobody waits while the database is known to
 * be down.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Availability, createAvailability } from './availability.ts'
import { type Connection, type Driver, openConnection } from './connection.ts'
import { deadlineAt } from './deadline.ts'
import { connectionError, isConnectionLimit, lateError, OutageError } from './errors.ts'

export interface PoolOptions {
  readonly driver: Driver
  readonly size: number
  /** For a statement and its wait for a connection. */
  readonly timeoutMs: number
  /** For opening a connection; as long as for a statement if left out. */
  readonly openTimeoutMs?: number
  /** Called once per change. */
  readonly onChange: (isUp: boolean, error: unknown) => void
}

export interface Pool {
  readonly availability: Availability
  /** When work that begins now is given up: after the timeout, or with the request that asks. */
  lateAt(): number
  /** A connection for this work alone, waited for until `lateAt` at most. */
  use<T>(lateAt: number, work: (connection: Connection) => Promise<T>, turn?: Turn): Promise<T>
  /** Waits for what runs, so long at most. */
  close(timeoutMs: number): Promise<void>
}

/** Who asks whether the database answers does not ask how long the queue is. */
type Turn = 'next' | 'last'

/** The server gives up by itself a little earlier, and says why; its connection can be kept then. */
const answerMs = 250
/** How exactly deadlines are kept. */
const tickMs = 50
/** After a server that had no connection left for us. */
const limitPauseMs = 500
const oneHour = 3_600_000

interface Waiter {
  readonly lateAt: number
  resolve(connection: Connection): void
  reject(error: unknown): void
}

interface State {
  readonly options: PoolOptions
  readonly availability: Availability
  readonly all: Set<Connection>
  readonly idle: Connection[]
  readonly waiting: Waiter[]
  opening: number
  /** Until when no further connection is asked for. */
  pausedUntil: number
  closing: boolean
  ticking: NodeJS.Timeout | undefined
}

export function createPool(options: PoolOptions): Pool {
  const { timeoutMs, openTimeoutMs = timeoutMs } = options
  const availability = createAvailability({
    probe: (boundMs) => openOne(state, boundMs),
    patientMs: openTimeoutMs,
    onChange(isUp, error) {
      if (!isUp) refuseAll(state, error)
      options.onChange(isUp, error)
    },
  })
  const state: State = {
    options,
    availability,
    all: new Set(),
    idle: [],
    waiting: [],
    opening: 0,
    pausedUntil: 0,
    closing: false,
    ticking: undefined,
  }
  return {
    availability,
    lateAt: () => Math.min(deadlineAt(), performance.now() + timeoutMs + answerMs),
    async use(lateAt, work, turn = 'last') {
      const connection = takeIdle(state) ?? (await waitForOne(state, lateAt, turn))
      try {
        return await work(connection)
      } finally {
        release(state, connection)
      }
    },
    close: (boundMs) => closePool(state, boundMs),
  }
}

function takeIdle(state: State): Connection | undefined {
  if (state.closing) throw closedError()
  state.availability.require()
  state.ticking ??= setInterval(() => setImmediate(checkTime, state), tickMs).unref()
  return state.idle.pop()
}

function waitForOne(state: State, lateAt: number, turn: Turn): Promise<Connection> {
  const { promise, resolve, reject } = Promise.withResolvers<Connection>()
  state.waiting[turn === 'next' ? 'unshift' : 'push']({ lateAt, resolve, reject })
  openMore(state)
  return promise
}

function openMore(state: State) {
  const { options, availability, all, waiting, opening, pausedUntil } = state
  const isFull = all.size + opening >= options.size
  if (isFull || waiting.length <= opening || performance.now() < pausedUntil) return
  state.opening += 1
  void openOne(state, options.openTimeoutMs ?? options.timeoutMs)
    .catch((error: unknown) => {
      if (isConnectionLimit(error) && all.size > 0)
        state.pausedUntil = performance.now() + limitPauseMs
      else availability.failed(error)
    })
    .finally(() => {
      state.opening -= 1
      openMore(state)
    })
}

async function openOne(state: State, boundMs: number) {
  const { options, all } = state
  const connection = await openConnection(options.driver, boundMs, (lost) => forget(state, lost))
  if (state.closing || all.size >= options.size) return connection.close()
  all.add(connection)
  release(state, connection)
}

/** One lost connection says nothing of the others, but it may be the first of all. */
function forget(state: State, lost: Connection) {
  const { all, idle, availability } = state
  if (!all.delete(lost)) return
  const at = idle.indexOf(lost)
  if (at !== -1) idle.splice(at, 1)
  availability.suspect()
  openMore(state)
}

function release(state: State, connection: Connection) {
  const { all, idle, waiting } = state
  if (connection.isLost) return
  if (state.closing || performance.now() - connection.openedAt > oneHour) {
    all.delete(connection)
    void connection.close()
    openMore(state)
    return
  }
  const next = waiting.shift()
  if (next) next.resolve(connection)
  else idle.push(connection)
}

/** What waits is refused at once; idle connections may be dead without knowing. */
function refuseAll({ waiting, idle }: State, cause: unknown) {
  const error = new OutageError('DATABASE_DOWN', 'the database cannot be reached', { cause })
  for (const { reject } of waiting.splice(0)) reject(error)
  for (const connection of idle.splice(0)) connection.destroy(error)
}

/** Runs after received data has been read, so that a pause of this process does not look like one of the server. */
function checkTime(state: State) {
  const { all, idle, waiting } = state
  const now = performance.now()
  for (const connection of all) connection.checkTime(now)
  for (const late of waiting.filter((waiter) => waiter.lateAt <= now)) {
    waiting.splice(waiting.indexOf(late), 1)
    late.reject(lateError())
  }
  openMore(state)
  if (waiting.length === 0 && idle.length === all.size) stopTicking(state)
}

function stopTicking(state: State) {
  clearInterval(state.ticking)
  state.ticking = undefined
}

async function closePool(state: State, boundMs: number) {
  const { all, idle, waiting, availability } = state
  state.closing = true
  availability.stop()
  for (const { reject } of waiting.splice(0)) reject(closedError())
  const unused = idle.splice(0)
  for (const connection of unused) all.delete(connection)
  await Promise.all(unused.map((connection) => connection.close()))
  const deadline = performance.now() + boundMs
  while (all.size > 0 && performance.now() < deadline) await sleep(10)
  for (const connection of all) connection.destroy(closedError())
  stopTicking(state)
}

const closedError = () => connectionError('the pool was closed', 'CONNECTION_ENDED')

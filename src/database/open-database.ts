/**
 * The database: a real Postgres when a URL is given, else the embedded one (PGlite) in the data directory.
 * Both speak through the same Drizzle handle, so nothing above this floor knows which it is.
 */
import { PGlite } from '@electric-sql/pglite'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import type postgres from 'postgres'
import { receivesNotifications } from './announcements.ts'
import type { Database } from './client.ts'
import type { DriverOptions } from './connection.ts'
import { type ConnectionTarget, parseConnectionString } from './connection-string.ts'
import { setStatementTimeout } from './deadline.ts'
import { driverOptions } from './driver-options.ts'
import {
  createPoolUse,
  instrumentPglite,
  type PoolUse,
  type RecordOperation,
} from './instrument.ts'
import { type Listener, openListener } from './listener.ts'
import { lockDirectory } from './lock-directory.ts'
import { migrateEmbedded, migratePostgres, type Prepare } from './migrate.ts'
import { ping } from './ping.ts'
import { createPool } from './pool.ts'
import { createClient } from './postgres-client.ts'
import { protectDirectory } from './private-directory.ts'
import { createReadiness, noteRefusal } from './readiness.ts'
import { noteRecovery } from './recovery.ts'
import { schema } from './schema.ts'
import { type DatabaseTraits, waitForDatabase } from './wait-for-database.ts'

export interface OpenDatabase {
  /** The target for migrations, bypassing a pooler where possible; undefined for the embedded database. */
  readonly migrator?: DriverOptions
  readonly db: Database
  /** A handle of its own for the COUNTs behind the gauges, so that a slow count never holds up a sign-in. */
  readonly populationDb: Database
  readonly embedded: boolean
  readonly pools: readonly PoolUse[]
  /** Whether it answers and takes writes; never rejects, and tells within a second. */
  ready(): Promise<boolean>
  /** Whether NOTIFY reaches us; behind a pooler it does not, and what has changed must be looked up. */
  readonly canListen: boolean
  /**
   * Calls `onMessage` for each NOTIFY on the channel, from any replica, and `onConnected` whenever listening
   * (re)starts: messages sent in between were missed. Does nothing where nothing is heard.
   */
  listen(
    channel: string,
    onMessage: (payload: string) => void,
    onConnected: () => void,
  ): Promise<void>
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** `postgres://...`; undefined opens the embedded database. */
  readonly url: string | undefined
  /** The way past a pooler, for migrations and LISTEN. */
  readonly directUrl?: string | undefined
  /** Whether statements are named and kept by the server; `auto` unless a pooler stands in between. */
  readonly prepareStatements?: 'auto' | 'true' | 'false'
  /** Milliseconds to wait for a database that does not answer yet. */
  readonly startTimeoutMs?: number
  /** Called with warnings about the connection settings. */
  readonly warn?: (message: string) => void
  readonly dataDir: string
  readonly poolSize: number
  /** Milliseconds that a statement may take, its wait for a connection included. */
  readonly timeoutMs: number
  /** Milliseconds after which Postgres itself gives up on a population COUNT. */
  readonly countTimeoutMs: number
  /** Called for every statement; undefined leaves the driver uninstrumented. */
  readonly record: RecordOperation | undefined
  /** Called once whenever the database becomes unreachable or reachable again. */
  readonly onAvailability: (isUp: boolean, error: unknown) => void
  /** Runs on the migrated database, by one replica at a time. */
  readonly prepare: Prepare
}

/** Opens the database and brings its schema up to date; safe when several replicas start at once. */
export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  return options.url === undefined ? openEmbedded(options) : openPostgres(options.url, options)
}

async function openPostgres(url: string, options: DatabaseOptions): Promise<OpenDatabase> {
  const { directUrl, warn = () => {}, startTimeoutMs = 0 } = options
  const target = parseConnectionString(url, 'DATABASE_URL')
  const direct =
    directUrl === undefined ? undefined : parseConnectionString(directUrl, 'DATABASE_DIRECT_URL')
  const patience = { timeoutMs: startTimeoutMs, onRetry: warn }
  if (direct) await waitForDatabase(direct, patience)
  const { pooled } = await waitForDatabase(target, patience)
  const migrator = driverOptions(direct ?? target)
  await migratePostgres(migrator, options.prepare)
  const { main, population, readiness } = openPools(target, { ...options, pooled })
  const listener = await findListener(target, { direct, client: main.client, pooled, warn })
  return {
    migrator,
    db: main.db,
    populationDb: population.db,
    embedded: false,
    pools: [main.use, population.use],
    ready: readiness.ready,
    canListen: listener !== undefined,
    async listen(channel, onMessage, onConnected) {
      await listener?.listen(channel, onMessage, onConnected)
    },
    async close() {
      await Promise.all([
        main.pool.close(closeTimeoutMs),
        population.pool.close(closeTimeoutMs),
        listener?.close(),
      ])
    },
  }
}

const closeTimeoutMs = 5000

function openPools(
  target: ConnectionTarget,
  { pooled, ...options }: Omit<DatabaseOptions, 'prepare'> & DatabaseTraits,
) {
  const { prepareStatements = 'auto', poolSize, timeoutMs, countTimeoutMs, record } = options
  setStatementTimeout(timeoutMs)
  const prepare = prepareStatements === 'auto' ? !pooled : prepareStatements === 'true'
  const driver = { ...driverOptions(target), prepare }
  const refusals = { seen: false }
  const main = openPool(driver, {
    use: createPoolUse('main', poolSize),
    timeoutMs,
    pooled,
    record,
    onAvailability: options.onAvailability,
    onError: (error) => noteRefusal(refusals, error),
  })
  const use = createPoolUse('population', 1)
  const population = openPool(driver, { use, timeoutMs: countTimeoutMs, pooled, record })
  return { main, population, readiness: createReadiness(main.pool, refusals) }
}

interface PoolParts extends DatabaseTraits {
  readonly use: PoolUse
  readonly timeoutMs: number
  readonly record: RecordOperation | undefined
  readonly onAvailability?: DatabaseOptions['onAvailability']
  readonly onError?: (error: unknown) => void
}

function openPool(
  driver: DriverOptions,
  { use, timeoutMs, pooled, record, onAvailability, onError }: PoolParts,
) {
  const types = { parsers: {}, serializers: {} }
  const limits = pooled ? {} : serverTimeouts(timeoutMs)
  const options = { ...driver, connection: { ...driver.connection, ...limits } }
  const pool = createPool({
    driver: { options, types, ...(onError && { onError }) },
    size: use.max,
    timeoutMs,
    onChange(isUp, error) {
      if (isUp) noteRecovery()
      onAvailability?.(isUp, error)
    },
  })
  const client = createClient(pool, { types, use, record: record ?? (() => {}) })
  // Drizzle says how it wants values; a connection that was opened earlier would not know.
  return { pool, use, client, db: drizzlePostgres({ client, schema }) }
}

/**
 * What the server ends by itself: a statement, waiting for locks included, and a transaction that nobody goes on with. A
 * pooler refuses such parameters; behind it the pool alone gives up, and has the statement cancelled.
 */
const serverTimeouts = (timeoutMs: number) => ({
  statement_timeout: timeoutMs,
  idle_in_transaction_session_timeout: timeoutMs,
})

interface Listening extends DatabaseTraits {
  readonly direct: ConnectionTarget | undefined
  readonly client: postgres.Sql
  warn(message: string): void
}

/** A client whose LISTEN receives what the pool sends; undefined where there is none, which is said once. */
async function findListener(
  target: ConnectionTarget,
  { direct, client, pooled, warn }: Listening,
): Promise<Listener | undefined> {
  if (direct || !pooled) {
    const listener = await openListener(driverOptions(direct ?? target))
    if (await receivesNotifications(listener, client)) return listener
    await listener.close()
  }
  warn(
    direct
      ? `DATABASE_DIRECT_URL receives no notifications; it must lead to the same server as DATABASE_URL, bypassing any pooler in transaction mode. ${unheard}`
      : `DATABASE_URL leads to a pooler, where LISTEN is not reliable; set DATABASE_DIRECT_URL to bypass it. ${unheard}`,
  )
  return undefined
}

const unheard =
  'Changes to clients and keys reach the other replicas within CLIENT_CACHE_TTL, at most 5 s.'

/** PGlite unpacks files that every user can read; this closes them, and files written later are private. */
async function openPrivately(dataDir: string): Promise<PGlite> {
  const client = await PGlite.create(`${dataDir}/pgdata`)
  protectDirectory(dataDir)
  return client
}

async function openEmbedded(options: DatabaseOptions): Promise<OpenDatabase> {
  protectDirectory(options.dataDir)
  const unlock = lockDirectory(options.dataDir)
  const client = await openPrivately(options.dataDir).catch((error: unknown) => {
    unlock()
    throw error
  })
  const use = createPoolUse('main', 1)
  instrumentPglite(client, use, options.record ?? (() => {}))
  const db = drizzlePglite(client, { schema })
  await migrateEmbedded(db, options.prepare)
  return {
    db,
    populationDb: db,
    embedded: true,
    pools: [use],
    // It is part of this process.
    ready: () => ping(db, 800),
    canListen: true,
    async listen(channel, onMessage, onConnected) {
      await client.listen(channel, onMessage)
      onConnected()
    },
    async close() {
      await client.close()
      unlock()
    },
  }
}

/**
 * The database: a real Postgres when a URL is given, else the embedded one (PGlite) in the data directory.
 * Both speak through the same Drizzle handle, so nothing above this floor knows which it is.
 */
import { PGlite } from '@electric-sql/pglite'
import { sql } from 'drizzle-orm'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import type { DriverOptions } from './connection.ts'
import { setStatementTimeout } from './deadline.ts'
import {
  createPoolUse,
  instrumentPglite,
  type PoolUse,
  type RecordOperation,
} from './instrument.ts'
import { lockDirectory } from './lock-directory.ts'
import { migrateEmbedded, migratePostgres, type Prepare } from './migrate.ts'
import { ping } from './ping.ts'
import { createPool } from './pool.ts'
import { createClient } from './postgres-client.ts'
import { createReadiness, noteRefusal } from './readiness.ts'
import { schema } from './schema.ts'

export type Database = PgDatabase<PgQueryResultHKT, typeof schema>

export interface OpenDatabase {
  readonly db: Database
  /** A handle of its own for the COUNTs behind the gauges, so that a slow count never holds up a sign-in. */
  readonly populationDb: Database
  readonly embedded: boolean
  readonly pools: readonly PoolUse[]
  /** Whether it answers and takes writes; never rejects, and tells within a second. */
  ready(): Promise<boolean>
  /**
   * Calls `onMessage` for each NOTIFY on the channel, from any replica, and `onConnected` whenever listening
   * (re)starts: messages sent in between were missed.
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
  readonly dataDir: string
  readonly poolSize: number
  /** Milliseconds that a statement may take, its wait for a connection included. */
  readonly timeoutMs: number
  /** Milliseconds after which Postgres itself gives up on a population COUNT. */
  readonly countTimeoutMs: number
  /** Told of every statement; undefined leaves the driver as it is. */
  readonly record: RecordOperation | undefined
  /** Told once whenever the database is lost or found again. */
  readonly onAvailability: (isUp: boolean, error: unknown) => void
  /** Runs on the migrated database, by one replica at a time. */
  readonly prepare: Prepare
}

/** Opens the database and brings its schema up to date; safe when several replicas start at once. */
export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  return options.url === undefined ? openEmbedded(options) : openPostgres(options.url, options)
}

/** Sends a NOTIFY that other replicas receive when the surrounding transaction commits. */
export async function notify(tx: Database, channel: string, payload: string): Promise<void> {
  await tx.execute(sql`select pg_notify(${channel}, ${payload})`)
}

async function openPostgres(url: string, options: DatabaseOptions): Promise<OpenDatabase> {
  const quiet = { onnotice: () => {}, connect_timeout: 10 }
  await migratePostgres(url, quiet, options.prepare)
  const { timeoutMs, countTimeoutMs, record } = options
  setStatementTimeout(timeoutMs)
  const refusals = { seen: false }
  const main = openPool(url, {
    driver: quiet,
    use: createPoolUse('main', options.poolSize),
    timeoutMs,
    record,
    onAvailability: options.onAvailability,
    onError: (error) => noteRefusal(refusals, error),
  })
  const population = openPool(url, {
    driver: quiet,
    use: createPoolUse('population', 1),
    timeoutMs: countTimeoutMs,
    record,
  })
  // It listens on a connection of its own, and begins again soon however long that was gone.
  const listener = postgres(url, { ...quiet, max: 1, backoff: () => 0.25 })
  return {
    db: drizzlePostgres({ client: main.client, schema }),
    populationDb: drizzlePostgres({ client: population.client, schema }),
    embedded: false,
    pools: [main.use, population.use],
    ready: createReadiness(main.pool, refusals).ready,
    async listen(channel, onMessage, onConnected) {
      await listener.listen(channel, onMessage, onConnected)
    },
    async close() {
      await Promise.all([
        main.pool.close(closeTimeoutMs),
        population.pool.close(closeTimeoutMs),
        listener.end({ timeout: closeTimeoutMs / 1000 }),
      ])
    },
  }
}

const closeTimeoutMs = 5000

interface PoolParts {
  readonly driver: DriverOptions
  readonly use: PoolUse
  readonly timeoutMs: number
  readonly record: RecordOperation | undefined
  readonly onAvailability?: DatabaseOptions['onAvailability']
  readonly onError?: (error: unknown) => void
}

function openPool(
  url: string,
  { driver, use, timeoutMs, record, onAvailability, onError }: PoolParts,
) {
  const types = { parsers: {}, serializers: {} }
  const options = { ...driver, connection: serverTimeouts(timeoutMs) }
  const pool = createPool({
    driver: { url, options, types, ...(onError && { onError }) },
    size: use.max,
    timeoutMs,
    onChange: onAvailability ?? (() => {}),
  })
  return { pool, use, client: createClient(pool, { types, use, record: record ?? (() => {}) }) }
}

/** What the server ends by itself: a statement, waiting for locks included, and a transaction that nobody goes on with. */
const serverTimeouts = (timeoutMs: number) => ({
  statement_timeout: timeoutMs,
  idle_in_transaction_session_timeout: timeoutMs,
})

async function openEmbedded(options: DatabaseOptions): Promise<OpenDatabase> {
  const unlock = lockDirectory(options.dataDir)
  const client = await PGlite.create(`${options.dataDir}/pgdata`).catch((error: unknown) => {
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

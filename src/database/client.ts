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
import {
  createPoolUse,
  instrumentPglite,
  instrumentPostgres,
  type PoolUse,
  type RecordOperation,
} from './instrument.ts'
import { lockDirectory } from './lock-directory.ts'
import { migrateEmbedded, migratePostgres, type Prepare } from './migrate.ts'
import { schema } from './schema.ts'

export type Database = PgDatabase<PgQueryResultHKT, typeof schema>

export interface OpenDatabase {
  readonly db: Database
  /** A handle of its own for the COUNTs behind the gauges, so that a slow count never holds up a sign-in. */
  readonly populationDb: Database
  readonly embedded: boolean
  readonly pools: readonly PoolUse[]
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
  /** Milliseconds after which Postgres itself gives up on a population COUNT. */
  readonly countTimeoutMs: number
  /** Told of every statement; undefined leaves the driver as it is. */
  readonly record: RecordOperation | undefined
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
  const mainUse = createPoolUse('main', options.poolSize)
  const populationUse = createPoolUse('population', 1)
  const client = postgres(url, { ...quiet, max: options.poolSize })
  const populationClient = postgres(url, {
    ...quiet,
    max: 1,
    connection: { statement_timeout: options.countTimeoutMs },
  })
  if (options.record) {
    instrumentPostgres(client, mainUse, options.record)
    instrumentPostgres(populationClient, populationUse, options.record)
  }
  return {
    db: drizzlePostgres(client, { schema }),
    populationDb: drizzlePostgres(populationClient, { schema }),
    embedded: false,
    pools: [mainUse, populationUse],
    async listen(channel, onMessage, onConnected) {
      await client.listen(channel, onMessage, onConnected)
    },
    async close() {
      await Promise.all([client.end({ timeout: 5 }), populationClient.end({ timeout: 5 })])
    },
  }
}

async function openEmbedded(options: DatabaseOptions): Promise<OpenDatabase> {
  const unlock = lockDirectory(options.dataDir)
  const client = await PGlite.create(`${options.dataDir}/pgdata`).catch((error: unknown) => {
    unlock()
    throw error
  })
  const use = createPoolUse('main', 1)
  if (options.record) instrumentPglite(client, use, options.record)
  const db = drizzlePglite(client, { schema })
  await migrateEmbedded(db, options.prepare)
  return {
    db,
    populationDb: db,
    embedded: true,
    pools: [use],
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

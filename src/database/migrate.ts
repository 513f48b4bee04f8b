/** Brings the schema up to date from `drizzle/`, once, however many replicas start together. */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { PGlite } from '@electric-sql/pglite'
import type { PgliteDatabase } from 'drizzle-orm/pglite'
import { migrate as runPglite } from 'drizzle-orm/pglite/migrator'
import { drizzle } from 'drizzle-orm/postgres-js'
import { migrate as runPostgres } from 'drizzle-orm/postgres-js/migrator'
import { tryHoldingLock } from './advisory-lock.ts'
import type { Database } from './client.ts'
import { checkSchema, type RunStatement, recordOldestCompatible } from './compatibility.ts'
import type { DriverOptions } from './connection.ts'
import { buildLateIndexesEmbedded } from './late-indexes.ts'
import { schema } from './schema.ts'
import { openWorkClient } from './work-client.ts'

/** What must happen on a migrated database before anybody uses it, by one replica at a time. */
export type Prepare = (db: Database) => Promise<void>

const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))

/** Any number, the same for every version of this server. */
const migrationLock = 7_264_001

const closeTimeoutMs = 5000

/**
 * Migrates a Postgres and prepares its first rows under an advisory lock: Drizzle's migrator takes none, and two
 * replicas at once would collide. Nothing in it needs a session, so that a pooler may stand in between.
 */
export async function migratePostgres(options: DriverOptions, prepare: Prepare): Promise<void> {
  const [lock, { client, close }] = [openWorkClient(options), openWorkClient(options)]
  try {
    const work = () =>
      bringUpToDate((statement) => client.unsafe(statement), {
        migrate: () => runPostgres(drizzle(client, { schema }), { migrationsFolder }),
        prepare: () => prepare(drizzle(client, { schema })),
      })
    while (!(await tryHoldingLock(lock.client, migrationLock, work))) await sleep(100)
  } finally {
    await Promise.all([close(closeTimeoutMs), lock.close(closeTimeoutMs)])
  }
}

export async function migrateEmbedded(
  db: PgliteDatabase<typeof schema> & { $client: PGlite },
  prepare: Prepare,
) {
  await bringUpToDate(async (statement) => (await db.$client.query<Row>(statement)).rows, {
    async migrate() {
      await runPglite(db, { migrationsFolder })
      await buildLateIndexesEmbedded(db.$client)
    },
    prepare: () => prepare(db),
  })
}

type Row = Record<string, unknown>

/** A schema from a newer release is left alone, its indexes included. */
async function bringUpToDate(
  run: RunStatement,
  { migrate, prepare }: { migrate(): Promise<void>; prepare(): Promise<void> },
) {
  if ((await checkSchema(run)) === 'ours') {
    await recordOldestCompatible(run)
    await migrate()
    await recordOldestCompatible(run)
  }
  await prepare()
}

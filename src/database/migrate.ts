/** Brings the schema up to date from `drizzle/`, once, however many replicas start together. */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { PGlite } from '@electric-sql/pglite'
import type { PgliteDatabase } from 'drizzle-orm/pglite'
import { migrate as runPglite } from 'drizzle-orm/pglite/migrator'
import { drizzle } from 'drizzle-orm/postgres-js'
import { migrate as runPostgres } from 'drizzle-orm/postgres-js/migrator'
import postgres from 'postgres'
import type { Database } from './client.ts'
import { buildLateIndexesEmbedded } from './late-indexes.ts'
import { schema } from './schema.ts'

/** What must happen on a migrated database before anybody uses it, by one replica at a time. */
export type Prepare = (db: Database) => Promise<void>

const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))

/** Any number, the same for every version of this server. */
const migrationLock = 7_264_001

/**
 * Migrates a Postgres and prepares its first rows under an advisory lock: Drizzle's migrator takes none, and two
 * replicas at once would collide.
 */
export async function migratePostgres(
  url: string,
  options: postgres.Options<Record<string, never>>,
  prepare: Prepare,
) {
  const client = postgres(url, { ...options, max: 1 })
  try {
    await takeLock(client)
    const db = drizzle(client, { schema })
    await runPostgres(db, { migrationsFolder })
    await prepare(db)
  } finally {
    await client.end({ timeout: 5 })
  }
}

/** Asked for again and again: a statement that waited for it would itself be waited for by an index that another replica builds. */
async function takeLock(client: postgres.Sql) {
  for (;;) {
    const [answer] = await client<{ taken: boolean }[]>`
      select pg_try_advisory_lock(${migrationLock}) as taken`
    if (answer?.taken) return
    await sleep(100)
  }
}

export async function migrateEmbedded(
  db: PgliteDatabase<typeof schema> & { $client: PGlite },
  prepare: Prepare,
) {
  await runPglite(db, { migrationsFolder })
  await buildLateIndexesEmbedded(db.$client)
  await prepare(db)
}

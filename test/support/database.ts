/** A migrated database of one's own: embedded by default, on a real Postgres when TEST_DATABASE_URL is set. */
import { readFileSync } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'
import { getTableName, is } from 'drizzle-orm'
import { PgTable } from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/pglite'
import { inject, type TestContext } from 'vitest'
import type { Database } from '#/database/client.ts'
import { type OpenDatabase, openDatabase } from '#/database/open-database.ts'
import { ping } from '#/database/ping.ts'
import { schema } from '#/database/schema.ts'
import { administer, withDatabase } from './database-template.ts'

export const onPostgres = process.env['TEST_DATABASE_URL'] !== undefined

/** Skips a test where there is none, and says so in the summary. */
export const needsPostgres = ({ skip }: Pick<TestContext, 'skip'>): void =>
  skip(!onPostgres, 'needs a real Postgres (TEST_DATABASE_URL)')

export interface TestDatabase extends OpenDatabase {
  readonly db: Database
  /** Set on a real Postgres. */
  readonly url: string | undefined
}

export async function openTestDatabase(): Promise<TestDatabase> {
  const template = inject('databaseTemplate')
  const server = process.env['TEST_DATABASE_URL']
  return server === undefined ? openDump(template) : openClone(server, template)
}

/** Embedded databases of this worker that nobody uses now: making one costs a second, emptying one a moment. */
const idle: PGlite[] = []

async function openDump(file: string): Promise<TestDatabase> {
  const client =
    idle.pop() ?? (await PGlite.create({ loadDataDir: new Blob([readFileSync(file)]) }))
  const before = await shapeOf(client)
  const db = drizzle(client, { schema })
  const listening: (() => Promise<void>)[] = []
  return {
    db,
    populationDb: db,
    embedded: true,
    url: undefined,
    pools: [],
    ready: () => ping(db, 800),
    canListen: true,
    async listen(channel, onMessage, onConnected) {
      listening.push(await client.listen(channel, onMessage))
      onConnected()
    },
    async close() {
      for (const stop of listening) await stop()
      await client.exec(`reset all; truncate ${tables} restart identity cascade`)
      // A test that changed the schema keeps its database to itself.
      if ((await shapeOf(client)) === before) idle.push(client)
      else await client.close()
    },
  }
}

const tables = Object.values(schema)
  .filter((table) => is(table, PgTable))
  .map(getTableName)
  .join(', ')

/** Which tables and indexes there are, and how many columns each has. */
async function shapeOf(client: PGlite): Promise<string> {
  const { rows } = await client.query<{ shape: string }>(
    `select md5(string_agg(concat(relname, relkind, relnatts), ',' order by relname)) as shape
     from pg_class where relnamespace = 'public'::regnamespace`,
  )
  return rows[0]?.shape ?? ''
}

async function openClone(server: string, template: string): Promise<TestDatabase> {
  const name = `authgate_test_${crypto.randomUUID().replaceAll('-', '')}`
  await administer(server, `create database ${name} template ${template}`)
  const url = withDatabase(server, name)
  const opened = await openDatabase({
    url,
    dataDir: '',
    poolSize: 10,
    // A busy machine is no outage.
    timeoutMs: 30_000,
    countTimeoutMs: 5000,
    onAvailability: () => {},
    record: () => {},
    prepare: async () => {},
  })
  return {
    ...opened,
    url,
    async close() {
      await opened.close()
      await administer(server, `drop database ${name} with (force)`)
    },
  }
}

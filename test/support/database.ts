/** A migrated database of one's own: embedded by default, on a real Postgres when TEST_DATABASE_URL is set. */
import { readFileSync } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import { inject } from 'vitest'
import { type Database, type OpenDatabase, openDatabase } from '#/database/client.ts'
import { ping } from '#/database/ping.ts'
import { schema } from '#/database/schema.ts'
import { administer, withDatabase } from './database-template.ts'

export const onPostgres = process.env['TEST_DATABASE_URL'] !== undefined

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

async function openDump(file: string): Promise<TestDatabase> {
  const client = await PGlite.create({ loadDataDir: new Blob([readFileSync(file)]) })
  const db = drizzle(client, { schema })
  return {
    db,
    populationDb: db,
    embedded: true,
    url: undefined,
    pools: [],
    ready: () => ping(db, 800),
    canListen: true,
    async listen(channel, onMessage, onConnected) {
      await client.listen(channel, onMessage)
      onConnected()
    },
    close: () => client.close(),
  }
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

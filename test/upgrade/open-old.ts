/** A database as an earlier release left it (`live-things.ts`), brought up to date by the code that the server starts with. */
import { readFileSync } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import { migrateEmbedded } from '#/database/migrate.ts'
import { openDatabase } from '#/database/open-database.ts'
import { schema } from '#/database/schema.ts'
import type { TestDatabase } from '../support/database.ts'
import { administer, withDatabase } from '../support/database-template.ts'

const nothing = async () => {}

export const readOld = (name: string): string =>
  readFileSync(new URL(name, import.meta.url), 'utf8')

export function openOld(name: string): Promise<TestDatabase> {
  const server = process.env['TEST_DATABASE_URL']
  return server === undefined ? openEmbedded(name) : openPostgres(server, name)
}

async function openEmbedded(name: string): Promise<TestDatabase> {
  const client = await PGlite.create()
  await client.exec(readOld(`${name}.sql`))
  await client.exec('reset all')
  const db = drizzle(client, { schema })
  await migrateEmbedded(db, nothing)
  return {
    db,
    populationDb: db,
    embedded: true,
    url: undefined,
    pools: [],
    ready: async () => true,
    canListen: true,
    async listen(channel, onMessage, onConnected) {
      await client.listen(channel, onMessage)
      onConnected()
    },
    close: () => client.close(),
  }
}

async function openPostgres(server: string, name: string): Promise<TestDatabase> {
  const database = `authgate_upgrade_${crypto.randomUUID().replaceAll('-', '')}`
  await administer(server, `create database ${database}`)
  const url = withDatabase(server, database)
  await administer(url, readOld(`${name}.sql`))
  const opened = await openDatabase({
    url,
    dataDir: '',
    poolSize: 5,
    countTimeoutMs: 5000,
    timeoutMs: 30_000,
    onAvailability: () => {},
    record: undefined,
    prepare: nothing,
  })
  return {
    ...opened,
    url,
    async close() {
      await opened.close()
      await administer(server, `drop database ${database} with (force)`)
    },
  }
}

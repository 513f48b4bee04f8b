/** Indexes that are built beside the migrations, on whichever database the tests run. */
import { inArray, sql } from 'drizzle-orm'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConnectionString } from '#/database/connection-string.ts'
import { driverOptions } from '#/database/driver-options.ts'
import { lateIndexes, startLateIndexes } from '#/database/late-indexes.ts'
import { needsPostgres, openTestDatabase, type TestDatabase } from '../support/database.ts'

const optionsOf = (url: string) => driverOptions(parseConnectionString(url, 'TEST_DATABASE_URL'))

const names = Object.keys(lateIndexes)

let database: TestDatabase
const log = { info: () => {}, error: (...words: unknown[]) => console.error(...words) }
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

const validity = async () => {
  const rows = await database.db
    .select({ valid: sql<boolean>`indisvalid` })
    .from(sql`pg_index`)
    .where(inArray(sql`indexrelid::regclass::text`, names))
  return rows.map(({ valid }) => valid)
}

const all = (valid: boolean) => names.map(() => valid)

describe('indexes that came later', () => {
  it('are there and valid after the migrations', async () => {
    expect(await validity()).toEqual(all(true))
  })

  it('are built by one of several replicas while others write, and again after a build that broke off', async (context) => {
    needsPostgres(context)
    const url = database.url ?? ''
    const client = postgres(url, { max: 1 })
    // What a build that was broken off leaves behind.
    await client`update pg_index set indisvalid = false where indexrelid::regclass::text in ${client(names)}`
    expect(await validity()).toEqual(all(false))
    const build = () => startLateIndexes(optionsOf(url), log).built
    await Promise.all([build(), build(), build()])
    expect(await validity()).toEqual(all(true))
    await client.end()
  })

  it('are built beyond any statement timeout, and given up at once when the server stops', async (context) => {
    needsPostgres(context)
    const url = database.url ?? ''
    const client = postgres(url, { max: 1 })
    await client`do $$ begin execute format('alter database %I set statement_timeout = 500', current_database()); end $$`
    await client`drop index tokens_client`
    // A build waits for every transaction that began before it.
    const other = postgres(url, { max: 1 })
    const held = await other.reserve()
    await held`begin`
    await held`lock table tokens in row exclusive mode`
    const indexes = startLateIndexes(optionsOf(url), log)
    const building = () => client`
        select 1 from pg_stat_activity where query like 'create index concurrently%' and state = 'active'
        and now() - query_start > interval '1 second' and datname = current_database()`
    await expect.poll(async () => (await building()).length, { timeout: 20_000 }).toBe(1)
    await indexes.stop()
    await expect.poll(async () => (await building()).length, { timeout: 5000 }).toBe(0)
    await held`rollback`
    held.release()
    await startLateIndexes(optionsOf(url), log).built
    expect(await validity()).toEqual(all(true))
    await Promise.all([client.end(), other.end()])
  })
})

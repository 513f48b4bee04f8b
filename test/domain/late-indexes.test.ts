/** Indexes that are built beside the migrations, on whichever database the tests run. */
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migratePostgres } from '#/database/migrate.ts'
import { onPostgres, openTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

const validity = async () => {
  const rows = await database.db
    .select({ valid: sql<boolean>`indisvalid` })
    .from(sql`pg_index`)
    .where(sql`indexrelid in (to_regclass('tokens_client'), to_regclass('tokens_origin'))`)
  return rows.map(({ valid }) => valid)
}

describe('indexes that came later', () => {
  it('are there and valid after the migrations', async () => {
    expect(await validity()).toEqual([true, true])
  })

  if (!onPostgres)
    console.log('needs a real Postgres (TEST_DATABASE_URL): building while others write')
  it.skipIf(!onPostgres)(
    'are built by one of several replicas while others write, and again after a build that broke off',
    async () => {
      const url = database.url ?? ''
      const client = postgres(url, { max: 1 })
      // What a build that was broken off leaves behind.
      await client`update pg_index set indisvalid = false where indexrelid in (to_regclass('tokens_client'), to_regclass('tokens_origin'))`
      expect(await validity()).toEqual([false, false])
      const migrate = () => migratePostgres(url, { onnotice: () => {} }, async () => {})
      await Promise.all([migrate(), migrate(), migrate()])
      expect(await validity()).toEqual([true, true])
      await client.end()
    },
  )
})

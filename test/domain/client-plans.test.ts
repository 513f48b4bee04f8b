/** The list of clients is answered by its indexes, page by page. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { clientsPageQuery } from '#/domain/clients/find-clients.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
  await database.db.execute(sql`
    insert into clients (client_id, name, type, status, token_endpoint_auth_method, redirect_uris, grant_types, scope)
    select 'c' || n, 'App ' || n, 'public', case when n % 200 = 0 then 'pending' when n % 10 = 0 then 'inactive' else 'active' end,
           'none', array['https://app.example.test/callback'], array['authorization_code'], 'openid'
    from generate_series(1, 20000) n`)
  await database.db.execute(sql`vacuum analyze clients`)
}, 120_000)
afterAll(() => database.close())

const after = { sortName: 'app 15', clientId: 'c15' }
const page = (filter: Parameters<typeof clientsPageQuery>[1], more = {}) =>
  clientsPageQuery(database.db, filter, { limit: 51, ...more })
const cases = {
  'the first page': () => page({}),
  'a later page': () => page({}, { after }),
  'one status': () => page({ status: 'inactive' }),
  'a later page of one status': () => page({ status: 'inactive' }, { after }),
  'a rare name': () => page({ namePrefix: 'App 777' }),
  'a common name': () => page({ namePrefix: 'app' }, { after }),
}

it.each(Object.entries(cases))('reads %s through an index, and sorts nothing', async (_, query) => {
  const answer: unknown = await database.db.execute(sql`explain ${query().getSQL()}`)
  const rows: unknown = Array.isArray(answer) ? answer : (answer as { rows: unknown }).rows
  const plan = JSON.stringify(rows)
  expect(plan).toMatch(/clients_(status_)?name/)
  expect(plan).not.toMatch(/Seq Scan|Sort/)
})

/** The list of accounts and every search in it are answered by indexes, with the planner left as it is. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type UserFilter, usersPageQuery } from '#/domain/users/list-users.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
  await database.db.execute(sql`
    insert into users (username, email, full_name)
    select 'user-' || n, 'mail-' || n || '@example.test', 'Person ' || n from generate_series(1, 40000) n`)
  await database.db.execute(sql`vacuum analyze users`)
}, 120_000)
afterAll(() => database.close())

const questions: Readonly<Record<string, Omit<UserFilter, 'limit'>>> = {
  'the first page': {},
  'a later page': { after: 'user-2' },
  'a rare name': { search: 'user-3777' },
  'a common name': { search: 'user' },
  'a rare address': { search: 'MAIL-3777' },
  'a common address, later': { search: 'mail', after: 'user-2' },
  'a rare full name': { search: 'person 3777' },
  nobody: { search: 'zzz' },
}

it.each(Object.entries(questions))('reads %s through an index', async (_, question) => {
  const query = usersPageQuery(database.db, { ...question, limit: 51 })
  const answer: unknown = await database.db.execute(sql`explain ${query.getSQL()}`)
  const rows: unknown = Array.isArray(answer) ? answer : (answer as { rows: unknown }).rows
  const plan = JSON.stringify(rows)
  expect(plan).toMatch(/users_by_|users_pkey/)
  expect(plan).not.toMatch(/Seq Scan on users/)
})

const search = async (text: string) =>
  (await usersPageQuery(database.db, { search: text, limit: 51 })).map(({ user }) => user.username)

it('finds by the beginning of name, address and full name, in small or capital letters', async () => {
  const expected = ['user-37777']
  for (const text of ['user-37777', 'USER-37777', 'mail-37777@', 'Person 37777', 'person 37777'])
    expect([text, await search(text)]).toEqual([text, expected])
  expect(await search('ser-37777')).toEqual([])
  for (const text of ['user_37777', 'user%', '\\', 'user-37777\u{10FFFF}'])
    expect([text, await search(text)]).toEqual([text, []])
})

it('shows each account once, page by page', async () => {
  const seen: string[] = []
  let after: string | undefined
  do {
    const page = await usersPageQuery(database.db, { search: 'user-377', after, limit: 20 })
    seen.push(...page.map(({ user }) => user.username))
    after = page.length === 20 ? seen.at(-1) : undefined
  } while (after !== undefined)
  expect(seen.length).toBe(111)
  expect(new Set(seen).size).toBe(111)
  expect(seen).toEqual(seen.toSorted())
})

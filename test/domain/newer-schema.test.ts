/** A database that a newer build has migrated: this build runs on it by the newer one's word alone. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  type BuildSchema,
  checkSchema,
  recordOldestCompatible,
  thisBuild,
} from '#/database/compatibility.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

/** The drivers differ in what they answer. */
const run = async (statement: string) => {
  const answer = (await database.db.execute(sql.raw(statement))) as unknown
  return (Array.isArray(answer) ? answer : (answer as { rows: unknown[] }).rows) as Record<
    string,
    unknown
  >[]
}

const { newest } = thisBuild
const build = (steps: number, oldestSteps: number): BuildSchema => ({
  newest: newest + steps,
  oldestCompatible: newest + oldestSteps,
})
const migrate = async (known: BuildSchema) => {
  await recordOldestCompatible(run, known)
  await run(
    `insert into drizzle.__drizzle_migrations (hash, created_at) values ('', ${known.newest})`,
  )
}

it('is taken by the builds that it serves, refused by those before them, and never serves more again', async () => {
  expect(await checkSchema(run)).toBe('ours')
  await migrate(build(1, 0))
  expect(await checkSchema(run)).toBe('newer')
  await migrate(build(2, 1))
  expect(await checkSchema(run, build(1, 0))).toBe('newer')
  await expect(checkSchema(run)).rejects.toThrow(
    /^A newer AuthGate has migrated this database \(2 migrations more than this build knows\)/,
  )
  // A build that serves more must not speak for the one that serves less.
  await recordOldestCompatible(run, build(1, 0))
  await expect(checkSchema(run)).rejects.toThrow('2 migrations more')
})

it('is refused when nothing says whom it serves', async () => {
  await run('comment on table drizzle.__drizzle_migrations is null')
  await expect(checkSchema(run, build(1, 0))).rejects.toThrow('1 migration more')
})

import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '#/database/client.ts'
import { isOutage } from '#/database/errors.ts'
import { type OpenDatabase, openDatabase } from '#/database/open-database.ts'
import { type Postgres, startPostgres, terminateBackends } from '../support/services.ts'

/** TORTURE_TERMINATIONS=1000 for the long form. */
const terminations = Number(process.env['TORTURE_TERMINATIONS'] ?? 150)

let server: Postgres
let database: OpenDatabase

beforeAll(async () => {
  server = await startPostgres()
  database = await openDatabase({
    url: server.url,
    dataDir: '',
    poolSize: 8,
    timeoutMs: 5000,
    countTimeoutMs: 5000,
    record: undefined,
    onAvailability: () => {},
    prepare: async () => {},
  })
  await database.db.execute(sql`create table moved (n int, half text)`)
})

afterAll(async () => {
  await database?.close()
  await server?.remove()
})

it('answers every statement and transaction, whole or not at all, while connections are terminated', async () => {
  const { db } = database
  const counts = { done: 0, lost: 0 }
  let running = true
  const committed = new Set<number>()
  let next = 0
  async function work(one: (n: number) => Promise<void>) {
    while (running) {
      const n = next++
      try {
        await one(n)
        counts.done += 1
      } catch (error) {
        expect(isOutage(error), String(error)).toBe(true)
        counts.lost += 1
        await sleep(5)
      }
    }
  }
  const workers = Array.from({ length: 12 }, (_, i) =>
    work(async (n) => {
      if (i % 3 === 0) return void (await db.execute(sql`select pg_sleep(0.005)`))
      await db.transaction((tx) => moveBoth(tx, n))
      committed.add(n)
    }),
  )
  let ended = 0
  while (ended < terminations)
    ended += await terminateBackends(server, "application_name = 'authgate' and random() < 0.3")
  running = false
  await Promise.all(workers)
  expect(counts.lost).toBeGreaterThan(0)
  expect(counts.done).toBeGreaterThan(counts.lost)
  // Read on a connection of its own, past whatever happened to the pool's.
  const rows = (await db.execute(
    sql`select n, count(*)::int as "halves" from moved group by n`,
  )) as unknown as { n: number; halves: number }[]
  expect(rows.filter(({ halves }) => halves !== 2)).toEqual([])
  const stored = new Set(rows.map(({ n }) => n))
  expect([...committed].filter((n) => !stored.has(n))).toEqual([])
})

async function moveBoth(tx: Database, n: number) {
  await tx.execute(sql`insert into moved values (${n}, 'first')`)
  await tx.execute(sql`select pg_sleep(0.002)`)
  await tx.execute(sql`insert into moved values (${n}, 'second')`)
}

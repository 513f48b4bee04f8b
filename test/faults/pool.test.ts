/** What the pool promises whoever waits for it, on a real Postgres. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '#/database/client.ts'
import { withDeadline } from '#/database/deadline.ts'
import { codeOf, isOutage } from '#/database/errors.ts'
import { type OpenDatabase, openDatabase } from '#/database/open-database.ts'
import { type Postgres, startPostgres } from '../support/services.ts'

const timeoutMs = 1000

let server: Postgres
let narrow: OpenDatabase
let other: OpenDatabase
const changes: boolean[] = []

beforeAll(async () => {
  server = await startPostgres()
  other = await open({ poolSize: 2, timeoutMs: 10_000 })
  narrow = await open({ poolSize: 1, timeoutMs })
  await narrow.db.execute(sql`create table written (what text unique)`)
})

afterAll(async () => {
  await narrow?.close()
  await other?.close()
  await server?.remove()
})

const open = (size: { poolSize: number; timeoutMs: number }) =>
  openDatabase({
    url: server.url,
    dataDir: '',
    ...size,
    countTimeoutMs: 5000,
    record: undefined,
    onAvailability: (isUp) => changes.push(isUp),
    prepare: async () => {},
  })

const write = (db: Database, what: string) => db.execute(sql`insert into written values (${what})`)

async function isWritten(what: string) {
  const rows = await other.db.execute(sql`select 1 from written where what = ${what}`)
  return (rows as unknown as unknown[]).length === 1
}

const within = <T>(ms: number, work: () => PromiseLike<T>) =>
  withDeadline({ at: performance.now() + ms }, async () => await work())

const failure = (work: PromiseLike<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

/** Statements begin when somebody waits for them. */
const occupy = async (seconds: number) => {
  await narrow.db.execute(sql`select pg_sleep(${seconds}::float8)`)
}

const processOf = async (db: Database) => {
  const rows = await db.execute(sql`select pg_backend_pid() as pid`)
  return (rows as unknown as { pid: number }[])[0]?.pid
}

it('serves those who wait in the order in which they came', async () => {
  const order: number[] = []
  const underway = occupy(0.3)
  const waiting = Array.from({ length: 20 }, (_, n) =>
    narrow.db.execute(sql`select ${n}::int`).then(() => order.push(n)),
  )
  await Promise.all([underway, ...waiting])
  expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n))
})

it('answers whether it is ready before those who wait, so that a busy replica is no dead one', async () => {
  const underway = occupy(0.3)
  const waiting = Array.from({ length: 4 }, () => occupy(0.3))
  expect(await narrow.ready()).toBe(true)
  await Promise.all([underway, ...waiting.map(failure)])
})

it('refuses what has waited until its deadline, without sending it', async () => {
  const underway = occupy(0.8)
  const start = performance.now()
  const error = await failure(within(300, () => write(narrow.db, 'waited')))
  expect(performance.now() - start).toBeLessThan(700)
  expect(codeOf(error)).toBe('DATABASE_LATE')
  await underway
  await sleep(100)
  expect(await isWritten('waited')).toBe(false)
})

it('commits nothing once the server must give up, and keeps the connection', async () => {
  const before = await processOf(narrow.db)
  const late = within(600, () =>
    narrow.db.transaction(async (tx) => {
      await write(tx, 'late')
      await sleep(450)
    }),
  )
  expect(codeOf(await failure(late))).toBe('DATABASE_LATE')
  expect(await isWritten('late')).toBe(false)
  await within(600, () => narrow.db.transaction((tx) => write(tx, 'in time')))
  expect(await isWritten('in time')).toBe(true)
  expect(await processOf(narrow.db)).toBe(before)
})

it('says so when a transaction that has failed is committed all the same', async () => {
  const swallowed = narrow.db.transaction(async (tx) => {
    await write(tx, 'half')
    await failure(tx.execute(sql`select 1 / 0`))
  })
  expect(codeOf(await failure(swallowed))).toBe('22012')
  expect(await isWritten('half')).toBe(false)
})

it('takes a lock that is not given in time for no outage of the database', async () => {
  await write(other.db, 'locked')
  const before = await processOf(narrow.db)
  await other.db.transaction(async (tx) => {
    await tx.execute(sql`select 1 from written where what = 'locked' for update`)
    const start = performance.now()
    const error = await failure(
      narrow.db.execute(sql`update written set what = 'changed' where what = 'locked'`),
    )
    expect([codeOf(error), isOutage(error)]).toEqual(['57014', true])
    expect(performance.now() - start).toBeLessThan(timeoutMs + 500)
    expect(await processOf(narrow.db)).toBe(before)
  })
  expect(changes).toEqual([])
})

it('repeats as a whole, twice, what gave way to another transaction', async () => {
  let tries = 0
  const giveWay = (times: number) =>
    narrow.db.transaction(async (tx) => {
      tries += 1
      await write(tx, `try ${tries}`)
      if (tries <= times)
        await tx.execute(
          sql`do $$ begin raise exception 'gave way' using errcode = '40001'; end $$`,
        )
    })
  await giveWay(2)
  expect(tries).toBe(3)
  expect(await isWritten('try 1')).toBe(false)
  expect(await isWritten('try 3')).toBe(true)
  tries = 10
  expect(isOutage(await failure(giveWay(100)))).toBe(true)
  expect(tries).toBe(13)
})

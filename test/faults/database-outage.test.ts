import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { type Postgres, type PostgresSettings, startPostgres } from '../support/services.ts'

const secret = 'fault test secret of at least 32 characters'
const fromMemory = ['/livez', '/.well-known/openid-configuration', '/.well-known/jwks.json']

let database: Postgres
let home: Home
let server: ServerProcess

async function startWith(
  options: PostgresSettings = {},
  settings: Readonly<Record<string, string>> = {},
) {
  database = await startPostgres(options)
  server = await home.start({
    DATABASE_URL: database.url,
    SESSION_SECRET: secret,
    DB_TIMEOUT: '2s',
    REQUEST_TIMEOUT: '4s',
    ...settings,
  })
}

beforeEach(async () => {
  home = await createHome()
})

afterEach(async () => {
  await database?.thaw()
  await home?.remove()
  await database?.remove()
})

interface Answer {
  readonly at: number
  readonly ms: number
  readonly status: number
  readonly retryAfter: string | null
}

let clients = 0

async function ask(path: string): Promise<Answer> {
  const at = performance.now()
  const response = await server.request(path, { headers: { accept: 'application/json' } })
  await response.text()
  const ms = performance.now() - at
  return { at, ms, status: response.status, retryAfter: response.headers.get('retry-after') }
}

/** Asks the database each time: no cache knows that client. */
const askDatabase = () =>
  ask(`/oauth/authorize?response_type=code&client_id=nobody-${process.pid}-${clients++}`)

async function untilServed(): Promise<number> {
  const start = performance.now()
  while ((await askDatabase()).status === 503) await sleep(20)
  return performance.now() - start
}

async function untilRefused() {
  for (const deadline = performance.now() + 15_000; performance.now() < deadline; await sleep(50))
    if ((await askDatabase()).status === 503) return
  throw new Error('nobody was refused')
}

/** Requests at a steady rate, however long each takes. */
async function load(perSecond: number, ms: number): Promise<Answer[]> {
  const answers: Promise<Answer>[] = []
  for (const end = performance.now() + ms; performance.now() < end; await sleep(1000 / perSecond))
    answers.push(askDatabase())
  return Promise.all(answers)
}

/** When the server has found out, at the latest. */
async function untilKnown(): Promise<number> {
  await expect
    .poll(() => server.output(), { timeout: 15_000, interval: 20 })
    .toContain('the database is unreachable')
  return performance.now()
}

/** Everybody is answered within the bound; who comes once it is known, at once (with room for a busy machine). */
function expectRefusals(answers: readonly Answer[], { boundMs, knownAt }: Refusals) {
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
  expect(answers.every(({ retryAfter }) => retryAfter !== null)).toBe(true)
  expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(boundMs + 500)
  const known = answers
    .filter(({ at }) => at > knownAt)
    .map(({ ms }) => ms)
    .toSorted((a, b) => a - b)
  const quantile = (q: number) => known[Math.ceil(known.length * q) - 1] ?? Number.NaN
  const shown = [0.5, 0.95, 1].map((q) => Math.round(quantile(q))).join(', ')
  console.log(`refused in ms, known to be down: ${shown} (p50, p95, most) of ${known.length}`)
  expect(known.length).toBeGreaterThan(100)
  expect(quantile(0.95)).toBeLessThan(50)
  expect(quantile(1)).toBeLessThan(500)
}

interface Refusals {
  readonly boundMs: number
  readonly knownAt: number
}

describe('a frozen database', () => {
  it('leaves no request without an answer, is known to be down, and serves again at once', async () => {
    await startWith()
    expect((await askDatabase()).status).toBe(400)
    await database.freeze()
    const underway = load(40, 12_000)
    const knownAt = await untilKnown()
    for (const path of fromMemory) expect(await ask(path), path).toMatchObject({ status: 200 })
    expect(await ask('/readyz')).toMatchObject({ status: 503 })
    expectRefusals(await underway, { boundMs: 4000, knownAt })
    await database.thaw()
    expect(await untilServed()).toBeLessThan(1500)
    expect(await ask('/readyz')).toMatchObject({ status: 200 })
    expect(server.output().match(/the database is unreachable/g)).toHaveLength(1)
    expect(server.output().match(/the database is back/g)).toHaveLength(1)
  })

  it('is found out once DB_TIMEOUT has passed and served from within a second of its return, with the defaults', async () => {
    await startWith({}, { DB_TIMEOUT: '5s', REQUEST_TIMEOUT: '10s' })
    expect((await askDatabase()).status).toBe(400)
    await database.freeze()
    const frozenAt = performance.now()
    const underway = load(20, 15_000)
    const knownAt = await untilKnown()
    expect(knownAt - frozenAt).toBeLessThan(5250 + 1000 + 500)
    expectRefusals(await underway, { boundMs: 5250 + 1000, knownAt })
    await database.thaw()
    const backAfter = await untilServed()
    console.log(
      `known after ${Math.round(knownAt - frozenAt)} ms, back ${Math.round(backAfter)} ms`,
    )
    expect(backAfter).toBeLessThan(1500)
  })
})

describe('a stopped database', () => {
  it('is answered for from memory meanwhile, and used again as soon as it is back', async () => {
    await startWith({}, { CLIENT_CACHE_TTL: '100ms' })
    await database.stop()
    await untilRefused()
    await sleep(3000)
    for (const path of fromMemory) {
      const { status, ms } = await ask(path)
      expect([path, status]).toEqual([path, 200])
      expect(ms).toBeLessThan(500)
    }
    expect(await ask('/readyz')).toMatchObject({ status: 503 })
    await database.start()
    expect(await untilServed()).toBeLessThan(1500)
  })
})

describe('a database that takes nothing new', () => {
  it('is not ready while it only reads', async () => {
    await startWith()
    const admin = postgres(database.url, { max: 1, onnotice: () => {} })
    await admin`alter system set default_transaction_read_only = on`
    await admin`select pg_reload_conf()`
    await expect.poll(async () => (await ask('/readyz')).status, { timeout: 5000 }).toBe(503)
    await admin`set default_transaction_read_only = off`
    await admin`alter system reset default_transaction_read_only`
    await admin`select pg_reload_conf()`
    await admin.end()
    await expect.poll(async () => (await ask('/readyz')).status, { timeout: 5000 }).toBe(200)
  })
})

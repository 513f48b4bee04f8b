/** A Postgres that answers but has no room left: no connections, no disk, no writes. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { authorizePath, obtainCode, parametersOf, postToken, redeemCode } from '../support/flow.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import {
  canMount,
  type Postgres,
  type PostgresSettings,
  startPostgres,
} from '../support/services.ts'

let database: Postgres
let home: Home
let server: ServerProcess

async function startWith(options: PostgresSettings = {}, settings: Record<string, string> = {}) {
  database = await startPostgres(options)
  server = await home.start({
    DATABASE_URL: database.url,
    SESSION_SECRET: 'fault test secret of at least 32 characters',
    DB_TIMEOUT: '2s',
    REQUEST_TIMEOUT: '4s',
    ...settings,
  })
}

beforeEach(async () => {
  home = await createHome()
})

afterEach(async () => {
  await home?.remove()
  await database?.remove()
})

function connect(name: string) {
  const client = postgres(database.url, {
    max: 1,
    onnotice: () => {},
    connection: { application_name: name },
  })
  onTestFinished(() => client.end({ timeout: 1 }))
  return client
}

/** 503 with what its reader understands: people a page, programs the code of RFC 6749 §4.1.2.1. */
async function expectOutage(response: Response, reader: 'people' | 'programs') {
  const text = await response.text()
  expect([response.status, response.headers.get('location')], text).toEqual([503, null])
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
  if (reader === 'people') expect(text).toContain('Please try again')
  else expect(JSON.parse(text)).toMatchObject({ error: 'temporarily_unavailable' })
}

const untilReadyIs = (status: number) =>
  expect
    .poll(async () => (await server.request('/readyz')).status, { timeout: 10_000, interval: 50 })
    .toBe(status)

/** A user's browser and client, with tokens, a code that is not redeemed yet and a consent that is asked for. */
async function moveIn() {
  const { username, password, clientId } = home.credentials()
  const browser = openBrowser(server)
  const signIn = () => browser.submit('/login?switch=1', '/login', { username, password })
  expect((await signIn()).status).toBe(303)
  const redirect_uri = 'http://127.0.0.1/callback'
  const code = await obtainCode(browser, clientId, { redirect_uri })
  const redeemed = await redeemCode(server, clientId, code, { redirect_uri })
  const tokens = (await redeemed.json()) as { refresh_token: string }
  expect(redeemed.status).toBe(200)
  const path = authorizePath(clientId, { redirect_uri })
  return { browser, clientId, signIn, tokens, path, redirect_uri }
}

/** Others hold every connection there is but one, which is ours to look with. */
async function takeAllConnections(limit: number, { terminating }: { terminating: boolean }) {
  const look = connect('look')
  const count = async () => {
    const [row] = await look`select count(*)::int as n from pg_stat_activity
      where backend_type = 'client backend'`
    return Number(row?.['n'])
  }
  const taken: postgres.Sql[] = []
  for (const deadline = performance.now() + 30_000; performance.now() < deadline; ) {
    if (terminating)
      await look`select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and application_name not in ('look', 'hog')`
    const hog = connect('hog')
    const [row] = await hog`select 1`.catch(() => [])
    if (row) taken.push(hog)
    else await hog.end({ timeout: 0 })
    const full = terminating ? taken.length === limit - 1 : (await count()) === limit
    if (full) return { free: () => Promise.all(taken.map((one) => one.end({ timeout: 1 }))) }
  }
  throw new Error('not all connections could be taken')
}

describe('a server of databases that has no connection left (53300)', () => {
  const limit = 14

  it('is an outage as long as none is ours, and over once one is free', async () => {
    await startWith({ maxConnections: limit })
    const { path, clientId, browser } = await moveIn()
    const others = await takeAllConnections(limit, { terminating: true })
    await untilReadyIs(503)
    const refresh = { grant_type: 'refresh_token', client_id: clientId, refresh_token: 'unknown' }
    for (let i = 0; i < 20; i++) {
      await expectOutage(await postToken(server, refresh), 'programs')
      await expectOutage(await browser.get(path), 'people')
      await expectOutage(await browser.get('/login'), 'people')
    }
    expect((await server.request('/livez')).status).toBe(200)
    await others.free()
    await untilReadyIs(200)
    expect((await postToken(server, refresh)).status).toBe(400)
    expect((await browser.get(path)).status).toBe(200)
  })

  it('costs nobody anything while the connections that we have suffice', async () => {
    await startWith({ maxConnections: limit })
    const { path, browser, clientId } = await moveIn()
    await takeAllConnections(limit, { terminating: false })
    const refresh = { grant_type: 'refresh_token', client_id: clientId, refresh_token: 'unknown' }
    const statuses = await Promise.all(
      Array.from({ length: 50 }, async (_, i) =>
        i % 2 ? (await postToken(server, refresh)).status : (await browser.get(path)).status,
      ),
    )
    expect(new Set(statuses)).toEqual(new Set([200, 400]))
    expect((await server.request('/readyz')).status).toBe(200)
  })
})

/** What tables have left over in their pages still takes small rows: nothing of what follows can do without one of these. */
async function fillPages(client: postgres.Sql) {
  const fill = async () => {
    for (;;)
      await client`insert into audit_events (at, type, severity, success, details)
        values (now(), 'filler', 'info', true, '{}')`
  }
  await expect(fill()).rejects.toMatchObject({ code: '53100' })
}

/** Whatever stores something is refused so that it can be tried again, and is as it was afterwards. */
async function expectNothingLost(
  { browser, clientId, signIn, tokens, path, redirect_uri }: Awaited<ReturnType<typeof moveIn>>,
  { begin, end }: { begin(): Promise<void>; end(): Promise<void> },
) {
  const consent = await browser.get(path)
  const html = await consent.text()
  expect(consent.status).toBe(200)
  const answer = () =>
    browser.post('/oauth/authorize', {
      csrf_token: csrfTokenOf(html),
      authorization_request: hiddenField(html, 'authorization_request'),
      action: 'approve',
    })
  const refresh = { grant_type: 'refresh_token', client_id: clientId }
  const refreshWith = (refresh_token: string) => postToken(server, { ...refresh, refresh_token })
  await begin()
  await expectOutage(await refreshWith(tokens.refresh_token), 'programs')
  await untilReadyIs(503)
  await expectOutage(await signIn(), 'people')
  await expectOutage(await answer(), 'people')
  await expectOutage(await refreshWith(tokens.refresh_token), 'programs')
  await end()
  await untilReadyIs(200)
  expect((await refreshWith(tokens.refresh_token)).status).toBe(200)
  const sent = await answer()
  const { code = '' } = parametersOf(sent)
  expect((await redeemCode(server, clientId, code, { redirect_uri })).status).toBe(200)
  expect((await signIn()).status).toBe(303)
}

describe('a disk that is full (53100)', () => {
  it.runIf(canMount())(
    'is an outage for whatever stores something, and nothing is lost by it',
    async () => {
      await startWith({ diskMegabytes: 160 })
      const filler = connect('filler')
      await expectNothingLost(await moveIn(), {
        async begin() {
          database.fillDisk()
          await fillPages(filler)
        },
        async end() {
          database.freeDisk()
        },
      })
      expect(server.output()).not.toContain('a request failed')
    },
  )
})

describe('a database that only reads (25006)', () => {
  it('is an outage for whatever stores something, and nothing is lost by it', async () => {
    await startWith()
    const admin = connect('admin')
    await expectNothingLost(await moveIn(), {
      async begin() {
        await admin`alter system set default_transaction_read_only = on`
        await admin`select pg_reload_conf()`
        await sleep(500)
      },
      async end() {
        await admin`set default_transaction_read_only = off`
        await admin`alter system reset default_transaction_read_only`
        await admin`select pg_reload_conf()`
      },
    })
    expect(server.output()).not.toContain('a request failed')
  })
})

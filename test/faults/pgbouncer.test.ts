/** Behind a pooler that gives each transaction another session, as most hosted Postgres do. */
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openBrowser } from '../support/browser.ts'
import { authorizePath, decide, parametersOf, postToken, redeemCode } from '../support/flow.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { type Service, startPgBouncer, startPostgres } from '../support/services.ts'

let server: Service
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.remove())

let home: Home | undefined
let pooler: Service | undefined
let made = 0
afterEach(async () => {
  await home?.remove()
  await pooler?.remove()
  home = undefined
  pooler = undefined
})

/** A database of its own, on the way through a new pooler and on the way past it. */
async function open(poolMode: 'session' | 'transaction', settings = {}) {
  made += 1
  const name = `pooled_${made}`
  const client = postgres(server.url, { max: 1 })
  await client.unsafe(`create database ${name}`)
  await client.end()
  pooler = await startPgBouncer(server, { poolMode, settings })
  home = await createHome()
  const at = ({ port }: Service) => `postgres://postgres@127.0.0.1:${port}/${name}`
  const common = {
    DATABASE_URL: at(pooler),
    SESSION_SECRET: 'a session secret of 32 characters or more',
  }
  return { home, direct: at(server), common }
}

const startTwo = (from: Home, settings: Record<string, string>) =>
  Promise.all([from.startAnother(settings), from.startAnother(settings)])

const callback = { redirect_uri: 'http://127.0.0.1:5000/callback' }
const scope = { ...callback, scope: 'openid offline_access' }

/** Signs in, lets the client in, and refreshes what it was given, on one replica and the other by turns. */
async function walk({ credentials }: Home, [a, b]: [ServerProcess, ServerProcess]) {
  const { username, password, clientId } = credentials()
  const browser = openBrowser(a)
  expect((await browser.signIn(username, { password })).status).toBe(303)
  const onB = openBrowser(b, { cookies: browser.cookies })
  const sent = await decide(onB, authorizePath(clientId, scope), 'approve')
  const { code = '' } = parametersOf(sent)
  const redeemed = await redeemCode(a, clientId, code, callback)
  expect(redeemed.status).toBe(200)
  let { refresh_token } = (await redeemed.json()) as { refresh_token: string }
  for (const replica of [b, a, b, a]) {
    const grant = { grant_type: 'refresh_token', client_id: clientId, refresh_token }
    const answer = await postToken(replica, grant)
    expect(answer.status).toBe(200)
    refresh_token = ((await answer.json()) as { refresh_token: string }).refresh_token
  }
  return { browser, onB, clientId }
}

/** How long after one replica has disabled the client the other one still lets it in. */
async function timeToSpread({ browser, onB, clientId }: Awaited<ReturnType<typeof walk>>) {
  const ask = async () => (await onB.get(authorizePath(clientId, scope))).status
  expect([200, 302]).toContain(await ask())
  const change = await browser.submit('/admin/clients', `/admin/clients/${clientId}/disable`)
  expect(change.headers.get('location')).toContain('notice=disabled')
  const start = performance.now()
  await expect.poll(ask, { timeout: 10_000, interval: 20 }).toBe(400)
  return performance.now() - start
}

/** Many requests at once share few processes of the database. */
async function crowd([a, b]: [ServerProcess, ServerProcess]) {
  const asked = Array.from({ length: 200 }, async (_, index) => {
    const path = index % 2 ? authorizePath(`unknown-${index}`) : '/readyz'
    const { status } = await (index % 4 < 2 ? a : b).request(path)
    return `${path.split('?', 1)[0]} ${status}`
  })
  expect(new Set(await Promise.all(asked))).toEqual(
    new Set(['/readyz 200', '/oauth/authorize 400']),
  )
}

const linesWith = (replica: ServerProcess, text: string) =>
  replica
    .output()
    .split('\n')
    .filter((line) => line.includes(text))

describe('a pooler in transaction mode', () => {
  it('serves every flow without a direct URL; changes spread within 5 s however long is cached, and the log says so once', async () => {
    const { home, common } = await open('transaction', { default_pool_size: '4' })
    const replicas = await startTwo(home, { ...common, CLIENT_CACHE_TTL: '1h' })
    const walked = await walk(home, replicas)
    await crowd(replicas)
    expect(await timeToSpread(walked)).toBeLessThan(6000)
    for (const replica of replicas) {
      expect(linesWith(replica, 'set DATABASE_DIRECT_URL to bypass it')).toHaveLength(1)
      const samples = await replica.samples()
      expect(samples.get('sessions_active')).toBe(1)
      for (const [name, value] of samples)
        if (name.startsWith('database_query_errors_total')) expect([name, value]).toEqual([name, 0])
    }
  })

  it('with a direct URL passes changes on at once', async () => {
    const { home, common, direct } = await open('transaction', { default_pool_size: '4' })
    const settings = { ...common, DATABASE_DIRECT_URL: direct, CLIENT_CACHE_TTL: '1h' }
    const replicas = await startTwo(home, settings)
    expect(await timeToSpread(await walk(home, replicas))).toBeLessThan(1000)
    for (const replica of replicas) expect(linesWith(replica, 'DATABASE_DIRECT_URL')).toEqual([])
  })

  it('is found out when it is given as the direct URL', async () => {
    const { home, common } = await open('transaction')
    const replica = await home.start({ ...common, DATABASE_DIRECT_URL: common.DATABASE_URL })
    expect(linesWith(replica, 'DATABASE_DIRECT_URL receives no notifications')).toHaveLength(1)
  })

  it('ends a count that takes too long, although it takes no statement_timeout', async () => {
    const { home, common, direct } = await open('transaction')
    const replica = await home.start({ ...common, SESSION_SWEEP_INTERVAL: '1h' })
    const client = postgres(direct, { max: 2 })
    const waiting = async () => {
      const rows = await client<{ which: string }[]>`
        select pid || ' since ' || query_start as which
        from pg_stat_activity where wait_event_type = 'Lock' and query like '%sessions%'`
      return rows.map(({ which }) => which)
    }
    try {
      await client.begin(async (tx) => {
        await tx`lock table sessions in access exclusive mode`
        void replica.samples().catch(() => {})
        await expect.poll(waiting, { timeout: 5000, interval: 50 }).not.toEqual([])
        const [first] = await waiting()
        // Others come after it.
        await expect.poll(waiting, { timeout: 15_000, interval: 100 }).not.toContain(first)
      })
    } finally {
      await client.end()
    }
    expect((await replica.request('/readyz')).status).toBe(200)
  })
})

it('a pooler in session mode serves every flow, too', async () => {
  const { home, common, direct } = await open('session', { default_pool_size: '90' })
  const settings = { ...common, DATABASE_DIRECT_URL: direct, DB_MAX_OPEN_CONNS: '5' }
  const replicas = await startTwo(home, settings)
  await walk(home, replicas)
  await crowd(replicas)
})

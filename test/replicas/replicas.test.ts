/** Several processes on one Postgres, and one that hangs. The embedded database serves one process, so this needs a real one. */
import postgres from 'postgres'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Browser, openBrowser } from '../support/browser.ts'
import { needsPostgres } from '../support/database.ts'
import { authorizePath } from '../support/flow.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import type { Samples } from '../support/prometheus.ts'

describe('on a real Postgres (TEST_DATABASE_URL)', () => {
  let home: Home
  beforeEach(async (context) => {
    needsPostgres(context)
    home = await createHome()
    context.onTestFinished(() => home.remove())
  })

  const signIn = async (server: ServerProcess) => {
    const browser = openBrowser(server)
    const { username, password } = home.credentials()
    expect((await browser.signIn(username, { password })).status).toBe(303)
    return browser
  }
  /** The same browser, sent to another replica by the load balancer. */
  const sendTo = (server: ServerProcess, { cookies }: Browser) => openBrowser(server, { cookies })

  const activeSessions = (...servers: ServerProcess[]) =>
    Promise.all(servers.map(async (server) => (await server.samples()).get('sessions_active')))

  it('a session started on one replica is ended on another, and both tell the same number', async () => {
    const a = await home.start()
    const b = await home.startAnother()
    const browser = await signIn(a)
    expect(await activeSessions(a, b)).toEqual([1, 1])
    expect((await sendTo(b, browser).signOut()).headers.get('location')).toBe('/login')
    expect(await activeSessions(a, b)).toEqual([0, 0])
    expect((await browser.get('/account/devices')).status).toBe(303)

    const [onA, onB] = [await a.samples(), await b.samples()]
    const sum = (series: string) => (onA.get(series) ?? 0) + (onB.get(series) ?? 0)
    expect(sum('sessions_created_total')).toBe(1)
    expect(sum('sessions_expired_total{reason="logout"}')).toBe(1)
    expect(onB.get('auth_logout_total')).toBe(1)
  })

  it('a client that one replica disables is refused by the other at once, however long it caches', async () => {
    const settings = { CLIENT_CACHE_TTL: '1h' }
    const a = await home.start(settings)
    const b = await home.startAnother(settings)
    const browser = await signIn(a)
    const { clientId } = home.credentials()
    const path = authorizePath(clientId, { redirect_uri: 'http://127.0.0.1:5000/callback' })
    const onB = sendTo(b, browser)
    const answer = async () => (await onB.get(path)).status
    expect(await answer()).toBe(200)

    const change = (status: 'disable' | 'enable') =>
      browser.submit('/admin/clients', `/admin/clients/${clientId}/${status}`)
    expect((await change('disable')).headers.get('location')).toContain('notice=disabled')
    // The notice travels through Postgres; a second is a hundred times what it takes.
    await expect.poll(answer, { timeout: 1000, interval: 20 }).toBe(400)
    expect((await change('enable')).headers.get('location')).toContain('notice=enabled')
    await expect.poll(answer, { timeout: 1000, interval: 20 }).toBe(200)
  })

  it('four replicas that start together on an empty database make one administrator and one set of keys', async () => {
    const servers = await Promise.all([1, 2, 3, 4].map(() => home.startAnother()))
    expect(servers.filter((server) => server.output().includes('First start'))).toHaveLength(1)
    const keySets = await Promise.all(
      servers.map(async (server) => (await server.request('/.well-known/jwks.json')).text()),
    )
    expect(new Set(keySets).size).toBe(1)
    expect(JSON.parse(keySets[0] ?? '')).toMatchObject({ keys: [{}, {}, {}] })
    for (const server of servers) {
      await signIn(server)
      const samples = await server.samples()
      expect(samples.get('authgate_users_registered')).toBe(1)
      expect(samples.get('authgate_oauth_clients_registered{status="active"}')).toBe(1)
    }
    expect(await activeSessions(...servers)).toEqual([4, 4, 4, 4])
  })

  describe('a database that hangs', () => {
    /** A scrape as Prometheus feels it. */
    const scrape = async (server: ServerProcess) => {
      const start = performance.now()
      const samples = await server.samples()
      expect(performance.now() - start).toBeLessThan(2500)
      return samples
    }
    const countErrors = (samples: Samples) =>
      samples.get('database_query_errors_total{operation="count_sessions"}')

    /** Nobody else may as much as read the sessions until it resolves. */
    async function lockSessions(url: string) {
      const client = postgres(url, { max: 1, onnotice: () => {} })
      const locked = Promise.withResolvers<void>()
      const release = Promise.withResolvers<void>()
      const done = client.begin(async (sql) => {
        await sql`lock table sessions in access exclusive mode`
        locked.resolve()
        await release.promise
      })
      await locked.promise
      return async () => {
        release.resolve()
        await done
        await client.end()
      }
    }

    it('costs a scrape neither its counters nor its time, and never shows as zero sessions', async () => {
      const settings = { METRICS_POPULATION_TTL: '1s' }
      const server = await home.start(settings)
      const neverAsked = await home.startAnother(settings)
      await signIn(server)
      expect((await scrape(server)).get('sessions_active')).toBe(1)
      const unlock = await lockSessions(home.databaseUrl ?? '')
      try {
        await new Promise((resolve) => setTimeout(resolve, 1200))
        const during = await scrape(server)
        expect(during.get('sessions_created_total')).toBe(1)
        expect(during.get('authgate_users_registered')).toBe(1)
        const blind = await scrape(neverAsked)
        expect(blind.has('sessions_active')).toBe(false)
        expect(blind.get('authgate_users_registered')).toBe(1)
        await expect
          .poll(
            async () => {
              const samples = await scrape(server)
              expect([1, undefined]).toContain(samples.get('sessions_active'))
              return countErrors(samples)
            },
            { timeout: 10_000, interval: 500 },
          )
          .toBeGreaterThan(0)
      } finally {
        await unlock()
      }
      await expect
        .poll(
          async () =>
            (await scrape(server)).get('authgate_population_age_seconds{group="sessions"}'),
          { timeout: 60_000, interval: 500 },
        )
        .toBeLessThan(2)
      const after = await scrape(server)
      expect(after.get('sessions_active')).toBe(1)
      const errors = countErrors(after)
      await new Promise((resolve) => setTimeout(resolve, 1500))
      expect(countErrors(await scrape(server))).toBe(errors)
    })
  })
})

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { connectRedis } from '#/boot/redis.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import { createLog } from '#/telemetry/log.ts'
import { createRateLimits, enforceLimit, type Limiter } from '#/web/limits/rate-limit.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, openBrowser } from '../support/browser.ts'
import { basicAuth } from '../support/client.ts'
import { addDeviceClient } from '../support/devices.ts'
import { authorizePath, obtainTokens, postToken } from '../support/flow.ts'
import { addClient, addUser, testPassword } from '../support/people.ts'
import { mount } from './mount.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

const limits = {
  ENABLE_RATE_LIMIT: 'true',
  LOGIN_RATE_LIMIT: '5',
  LOGIN_ADDRESS_RATE_LIMIT: '20',
  LOGIN_ACCOUNT_RATE_LIMIT: '8',
  AUTHORIZE_RATE_LIMIT: '3',
  TOKEN_RATE_LIMIT: '4',
  CLIENT_RATE_LIMIT: '6',
  DEVICE_CODE_RATE_LIMIT: '3',
  DEVICE_VERIFY_RATE_LIMIT: '4',
  DEVICE_POLL_RATE_LIMIT: '8',
}

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ settings: limits })
})
afterAll(() => app.close())

let lastAddress = 0
/** An address of a network that no other test has used. */
const newAddress = () => {
  lastAddress += 1
  return `198.${18 + Math.floor(lastAddress / 250)}.${lastAddress % 250}.1`
}

const checked = (endpoint: string, result: string, n = 1) => ({
  [`authgate_rate_limit_checks_total{endpoint="${endpoint}",result="${result}"}`]: n,
})
/** The ceiling over all requests. */
const under = (n: number) => checked('any', 'allowed', n)
const exceeded = (endpoint: string, n = 1) => ({
  [`rate_limit_exceeded_total{endpoint="${endpoint}"}`]: n,
})
const refusedLogin = { 'authgate_login_failures_total{reason="rate_limited"}': 1 }

/** Wrong passwords, one after the other; the statuses. */
async function guess(browser: Browser, username: string, times: number): Promise<number[]> {
  const csrf_token = csrfTokenOf(await (await browser.get('/login')).text())
  const statuses: number[] = []
  for (let n = 0; n < times; n += 1) {
    const response = await browser.post('/login', { csrf_token, username, password: 'wrong' })
    statuses.push(response.status)
  }
  return statuses
}

const times = (n: number, status: number) => Array.from({ length: n }, () => status)

describe('limits of sign-in', () => {
  it('refuses the sixth attempt on an account from an address, with a page that says when to come back', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    expect(await guess(browser, user.username, 5)).toEqual(times(5, 401))
    const audited = await countAudit(app, 'RATE_LIMIT_EXCEEDED')
    const { result, moved } = await observeUnchanged(app, () => browser.signIn(user.username))
    expect(result.status).toBe(429)
    expect(result.headers.get('content-type')).toMatch(/^text\/html/)
    expect(result.headers.get('retry-after')).toMatch(/^([1-9]|[1-5]\d|60)$/)
    expect(result.headers.get('ratelimit-policy')).toBe('"login";q=5;w=60')
    expect(result.headers.get('ratelimit')).toMatch(/^"login";r=0;t=([1-9]|[1-5]\d|60)$/)
    expect(browser.cookies.has('oauth_session')).toBe(false)
    expect(moved).toEqual({
      ...checked('/login', 'limited'),
      ...under(2),
      ...exceeded('/login'),
      ...refusedLogin,
    })
    expect(await countAudit(app, 'RATE_LIMIT_EXCEEDED')).toBe(audited + 1)
  })

  it('writes one audit row for a key and window, however long somebody goes on', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    const before = await countAudit(app, 'RATE_LIMIT_EXCEEDED')
    // Stays below the other two limits.
    expect(await guess(browser, user.username, 8)).toEqual([...times(5, 401), ...times(3, 429)])
    expect(await countAudit(app, 'RATE_LIMIT_EXCEEDED')).toBe(before + 1)
    const events = await app.database.db.query.auditEvents.findMany()
    const event = events.findLast(({ type }) => type === 'RATE_LIMIT_EXCEEDED')
    expect(event).toMatchObject({
      success: false,
      severity: 'warning',
      resourceId: 'login',
      details: { endpoint: '/login', per_minute: 5 },
    })
  })

  it('answers a program in JSON', async () => {
    const ip = newAddress()
    const browser = openBrowser(app, { ip })
    await guess(browser, 'somebody', 5)
    const csrf = csrfTokenOf(await (await browser.get('/login')).text())
    const response = await app.request('/login', {
      method: 'POST',
      ip,
      body: `csrf_token=${csrf}&username=somebody&password=x`,
      headers: {
        cookie: `oauth_csrf=${browser.cookies.get('oauth_csrf')}`,
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
      },
    })
    expect(response.status).toBe(429)
    expect(await response.json()).toEqual({
      error: 'rate_limit_exceeded',
      error_description: expect.any(String),
    })
  })

  it('counts an account under any spelling of its name, and accounts apart', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    const name = user.username
    for (const spelling of [name, name.toUpperCase(), ` ${name}`, `${name}\t`, name])
      expect(await guess(browser, spelling, 1)).toEqual([401])
    expect(await guess(browser, name.toUpperCase(), 1)).toEqual([429])
    expect(await guess(browser, `${name}2`, 1)).toEqual([401])
  })

  it('limits an address over all accounts', async () => {
    const browser = openBrowser(app, { ip: newAddress() })
    const statuses: number[] = []
    for (let n = 0; n < 21; n += 1) statuses.push(...(await guess(browser, `nobody-${n}`, 1)))
    expect(statuses).toEqual([...times(20, 401), 429])
    expect(await guess(openBrowser(app, { ip: newAddress() }), 'nobody-20', 1)).toEqual([401])
  })

  it('counts only wrong passwords: what was right is given back', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    for (let n = 0; n < 4; n += 1) {
      expect(await guess(browser, user.username, 1)).toEqual([401])
      const fresh = openBrowser(app, { ip: newAddress() })
      for (let m = 0; m < 7; m += 1) {
        fresh.cookies.clear()
        expect((await fresh.signIn(user.username)).status).toBe(303)
      }
    }
    expect(await guess(browser, user.username, 2)).toEqual([401, 429])
  })

  it('gives nothing back for an account by a sign-in to another', async () => {
    const [mine, victim] = [await addUser(app.database.db), await addUser(app.database.db)]
    const browser = openBrowser(app, { ip: newAddress() })
    const statuses: number[] = []
    for (let n = 0; n < 6; n += 1) {
      statuses.push(...(await guess(browser, victim.username, 1)))
      browser.cookies.clear()
      expect((await browser.signIn(mine.username)).status).toBe(303)
      await browser.signOut()
    }
    expect(statuses).toEqual([...times(5, 401), 429])
  })

  it('lets no parallel guesses slip by', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    const csrf_token = csrfTokenOf(await (await browser.get('/login')).text())
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        browser.post('/login', { csrf_token, username: user.username, password: 'wrong' }),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([
      ...times(5, 401),
      ...times(15, 429),
    ])
  })

  it('leaves every network one attempt a minute when an account is over its limit, and known browsers alone', async () => {
    const user = await addUser(app.database.db)
    const own = openBrowser(app, { ip: newAddress() })
    await own.signIn(user.username)
    await own.signOut()
    for (let n = 0; n < 8; n += 1)
      expect(await guess(openBrowser(app, { ip: newAddress() }), user.username, 1)).toEqual([401])
    const stranger = openBrowser(app, { ip: newAddress() })
    expect(await guess(stranger, user.username, 2)).toEqual([401, 429])
    expect((await stranger.signIn(user.username)).headers.get('retry-after')).toMatch(/^(60|5\d)$/)
    // From elsewhere the owner gets in with a browser that nobody knows, too.
    expect((await openBrowser(app, { ip: newAddress() }).signIn(user.username)).status).toBe(303)
    expect((await own.signIn(user.username)).status).toBe(303)
    const abroad = openBrowser(app, { ip: newAddress(), cookies: new Map(own.cookies) })
    expect((await abroad.signIn(user.username)).status).toBe(303)
  })

  it('gives a browser that knows one account no way around the limit of another', async () => {
    const [mine, victim] = [await addUser(app.database.db), await addUser(app.database.db)]
    for (let n = 0; n < 8; n += 1)
      await guess(openBrowser(app, { ip: newAddress() }), victim.username, 1)
    const browser = openBrowser(app, { ip: newAddress() })
    await browser.signIn(mine.username)
    await browser.signOut()
    expect(await guess(browser, victim.username, 2)).toEqual([401, 429])
  })

  it('limits a known browser too: five guesses, wherever it is', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    await browser.signIn(user.username)
    await browser.signOut()
    const moving = () => openBrowser(app, { ip: newAddress(), cookies: new Map(browser.cookies) })
    const statuses: number[] = []
    for (let n = 0; n < 6; n += 1) statuses.push(...(await guess(moving(), user.username, 1)))
    expect(statuses).toEqual([...times(5, 401), 429])
  })

  it('holds back guesses at the current password by whoever has a stolen session, from any address', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    await browser.signIn(user.username)
    const path = '/account/security/password'
    const attempt = (current_password: string) =>
      browser.submit('/account/security', path, {
        current_password,
        new_password: 'a better password',
        new_password_again: 'a better password',
      })
    for (let n = 0; n < 5; n += 1) expect((await attempt(`guess ${n}`)).status).toBe(400)
    const { result, moved } = await observeUnchanged(app, () => attempt(testPassword))
    expect(result.status).toBe(429)
    expect(moved).toEqual({ ...checked(path, 'limited'), ...exceeded(path), ...under(2) })
  })

  it('starts anew after a minute', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    expect((await guess(browser, user.username, 6)).at(-1)).toBe(429)
    const real = Date.now
    vi.spyOn(Date, 'now').mockImplementation(() => real() + 61_000)
    try {
      expect(await guess(browser, user.username, 1)).toEqual([401])
    } finally {
      vi.restoreAllMocks()
    }
  })
})

describe('limits of /oauth/authorize', () => {
  it('counts what fails, by address, and is never in the way of what does not', async () => {
    const { client } = await addClient(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    const path = authorizePath(client.clientId)
    for (let n = 0; n < 3; n += 1) {
      for (let m = 0; m < 3; m += 1) expect((await browser.get(path)).status).toBe(303)
      expect((await browser.get('/oauth/authorize')).status).toBe(400)
    }
    const { result, moved } = await observeUnchanged(app, () => browser.get('/oauth/authorize'))
    expect([result.status, result.headers.get('location')]).toEqual([429, null])
    expect(result.headers.get('content-type')).toMatch(/^text\/html/)
    expect(result.headers.get('ratelimit-policy')).toBe('"authorize";q=3;w=60')
    expect(moved).toEqual({
      ...checked('/oauth/authorize', 'limited'),
      ...checked('/oauth/authorize', 'allowed', 2),
      ...exceeded('/oauth/authorize'),
      ...under(1),
    })
    expect((await browser.get(path)).status).toBe(303)
  })

  it('counts no answer that belongs to the protocol: silent requests are told to ask', async () => {
    const { client } = await addClient(app.database.db)
    const browser = openBrowser(app, { ip: newAddress() })
    for (let n = 0; n < 5; n += 1) {
      const silent = await browser.get(authorizePath(client.clientId, { prompt: 'none' }))
      expect(silent.headers.get('location')).toContain('error=login_required')
    }
  })

  it('has a ceiling, for all requests of an address and of the networks around it', async () => {
    const low = await startTestApp({
      replicaOf: app,
      settings: { ...limits, ENDPOINT_CEILING: '3' },
    })
    const { client } = await addClient(app.database.db)
    const visit = async (ip: string) =>
      (await openBrowser(low, { ip }).get(authorizePath(client.clientId))).status
    for (let n = 0; n < 3; n += 1) expect(await visit('203.0.113.1')).toBe(303)
    expect(await visit('203.0.113.1')).toBe(429)
    for (const ip of ['203.0.113.2', '203.0.113.3', '203.0.113.4'])
      for (let n = 0; n < 3; n += 1) expect(await visit(ip)).toBe(303)
    expect(await visit('203.0.113.5')).toBe(429)
    expect(await visit('203.0.112.5')).toBe(303)
    await low.close()
  })
})

describe('limits of /oauth/token', () => {
  const at = (ip: string) => ({
    request: (path: string, init?: RequestInit) => app.request(path, { ...init, ip }),
  })
  const grant = { grant_type: 'refresh_token', refresh_token: 'x' }

  it('counts whoever has proven nothing by address: public clients, wrong secrets and malformed requests together', async () => {
    const ip = newAddress()
    const { client } = await addClient(app.database.db)
    const confidential = await addClient(app.database.db, { type: 'confidential' })
    const id = confidential.client.clientId
    const statuses = [
      await postToken(at(ip), { ...grant, client_id: client.clientId }),
      await postToken(at(ip), grant, basicAuth(id, 'wrong')),
      await postToken(at(ip), {}),
      await at(ip).request('/oauth/token', { method: 'POST', body: '{}' }),
    ].map(({ status }) => status)
    expect(statuses).toEqual([400, 401, 400, 400])
    const { result, moved } = await observeUnchanged(app, () =>
      postToken(at(ip), { ...grant, client_id: client.clientId }),
    )
    expect(result.status).toBe(429)
    expect(await result.json()).toMatchObject({ error: 'rate_limit_exceeded' })
    expect(result.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(result.headers.get('ratelimit-policy')).toBe('"token";q=4;w=60')
    expect(moved).toEqual({
      'authgate_client_authentications_total{method="none",result="success"}': 1,
      'oauth_tokens_refreshed_total{result="invalid"}': 1,
      // The two steps of the ceiling.
      ...checked('/oauth/token', 'allowed', 2),
      ...checked('/oauth/token', 'limited'),
      ...exceeded('/oauth/token'),
      ...under(1),
    })
    expect(
      (await postToken(at(newAddress()), { ...grant, client_id: client.clientId })).status,
    ).toBe(400)
  })

  it('counts an authenticated client by itself, not by its address, so that a crowded address holds nobody up', async () => {
    const ip = newAddress()
    const anyone = await addClient(app.database.db)
    for (let n = 0; n < 5; n += 1)
      await postToken(at(ip), { ...grant, client_id: anyone.client.clientId })
    const { client, secret = '' } = await addClient(app.database.db, { type: 'confidential' })
    const statuses: number[] = []
    for (let n = 0; n < 7; n += 1) {
      const from = n % 2 === 0 ? ip : newAddress()
      statuses.push((await postToken(at(from), grant, basicAuth(client.clientId, secret))).status)
    }
    expect(statuses).toEqual([...times(6, 400), 429])
    const refused = await postToken(at(newAddress()), grant, basicAuth(client.clientId, secret))
    expect(refused.headers.get('ratelimit-policy')).toBe('"token-client";q=6;w=60')
  })

  it('holds back guessing of secrets from one address', async () => {
    const ip = newAddress()
    const { client } = await addClient(app.database.db, { type: 'confidential' })
    const statuses: number[] = []
    for (let n = 0; n < 6; n += 1)
      statuses.push(
        (await postToken(at(ip), grant, basicAuth(client.clientId, `guess-${n}`))).status,
      )
    expect(statuses).toEqual([...times(4, 401), 429, 429])
  })
})

describe('forty refreshes of a public client within a minute', () => {
  it('are no attack: with default settings none is refused, one after the other or all at once', async () => {
    const usual = await startTestApp({ replicaOf: app, settings: { ENABLE_RATE_LIMIT: 'true' } })
    const ip = newAddress()
    const from = {
      request: (path: string, init?: RequestInit) => usual.request(path, { ...init, ip }),
    }
    const { client } = await addClient(app.database.db)
    const user = await addUser(app.database.db)
    const browser = openBrowser(usual, { ip })
    await browser.signIn(user.username)
    const refresh = (refresh_token: string) =>
      postToken(from, { grant_type: 'refresh_token', refresh_token, client_id: client.clientId })
    let { refresh_token } = await obtainTokens(from, browser, client.clientId)
    for (let n = 0; n < 40; n += 1) {
      const response = await refresh(refresh_token)
      expect(response.status).toBe(200)
      refresh_token = ((await response.json()) as { refresh_token: string }).refresh_token
    }
    const apps: string[] = []
    for (let n = 0; n < 40; n += 1)
      apps.push((await obtainTokens(from, browser, client.clientId)).refresh_token)
    const answers = await Promise.all(apps.map(refresh))
    expect(answers.map(({ status }) => status)).toEqual(times(40, 200))
    await usual.close()
  })
})

describe('limits of the device grant', () => {
  const askForCodes = (clientId: string, ip: string) =>
    app.request('/oauth/device/code', {
      method: 'POST',
      body: new URLSearchParams({ client_id: clientId }),
      ip,
    })

  it('count requests for codes that fail, by address', async () => {
    const { client } = await addDeviceClient(app.database.db)
    const ip = newAddress()
    for (let n = 0; n < 3; n += 1) {
      expect((await askForCodes(client.clientId, ip)).status).toBe(200)
      expect((await askForCodes('nobody', ip)).status).toBe(401)
    }
    const { result, moved } = await observeUnchanged(app, () => askForCodes('nobody', ip))
    expect(result.status).toBe(429)
    expect(await result.json()).toMatchObject({ error: 'rate_limit_exceeded' })
    expect(moved).toEqual({
      'authgate_client_authentications_total{method="none",result="failure"}': 1,
      ...checked('/oauth/device/code', 'limited'),
      ...checked('/oauth/device/code', 'allowed', 2),
      ...exceeded('/oauth/device/code'),
      ...under(1),
    })
    expect((await askForCodes(client.clientId, ip)).status).toBe(200)
  })

  const tryCode = (browser: Browser, user_code = 'BCDF-GHJK') =>
    browser.submit('/device', '/device/verify', { user_code })

  it('hold back guessing of user codes from one address, whoever is signed in there', async () => {
    const ip = newAddress()
    const people = [openBrowser(app, { ip }), openBrowser(app, { ip })] as const
    for (const browser of people) await browser.signIn((await addUser(app.database.db)).username)
    for (const n of [0, 1, 0, 1] as const) expect((await tryCode(people[n])).status).toBe(400)
    const { client } = await addDeviceClient(app.database.db)
    const asked = await askForCodes(client.clientId, newAddress())
    const { user_code } = (await asked.json()) as { user_code: string }
    const { result, moved } = await observeUnchanged(app, () => tryCode(people[0], user_code))
    expect(result.status).toBe(429)
    expect(result.headers.get('content-type')).toMatch(/^text\/html/)
    expect(moved).toEqual({
      ...checked('/device/verify', 'limited'),
      ...exceeded('/device/verify'),
      ...under(2),
    })
  })

  it('give back the codes that were right: a room full of devices is let in', async () => {
    const ip = newAddress()
    const { client } = await addDeviceClient(app.database.db)
    const browser = openBrowser(app, { ip })
    await browser.signIn((await addUser(app.database.db)).username)
    for (let n = 0; n < 8; n += 1) {
      const asked = await askForCodes(client.clientId, ip)
      const { user_code } = (await asked.json()) as { user_code: string }
      expect((await tryCode(browser, user_code)).status).toBe(200)
    }
  })

  it('hold back guessing of user codes in one session, wherever it comes from', async () => {
    const browser = openBrowser(app, { ip: newAddress() })
    await browser.signIn((await addUser(app.database.db)).username)
    const elsewhere = () => openBrowser(app, { ip: newAddress(), cookies: browser.cookies })
    for (let n = 0; n < 4; n += 1) expect((await tryCode(elsewhere())).status).toBe(400)
    expect((await tryCode(elsewhere())).status).toBe(429)
  })

  it('count polls that fail apart, and waiting not at all', async () => {
    const { client } = await addDeviceClient(app.database.db)
    const ip = newAddress()
    const send = (fields: Record<string, string>) =>
      app.request('/oauth/token', { method: 'POST', body: new URLSearchParams(fields), ip })
    const poll = (device_code: string) =>
      send({ grant_type: deviceCodeGrantType, client_id: client.clientId, device_code })
    for (let n = 0; n < 12; n += 1) {
      const asked = await askForCodes(client.clientId, ip)
      const { device_code } = (await asked.json()) as { device_code: string }
      const waiting = await poll(device_code)
      expect(await waiting.json()).toMatchObject({ error: 'authorization_pending' })
    }
    for (let n = 0; n < 8; n += 1) expect((await poll('x')).status).toBe(400)
    expect((await poll('x')).status).toBe(429)
    const refresh = { grant_type: 'refresh_token', client_id: client.clientId, refresh_token: 'x' }
    expect((await send(refresh)).status).toBe(400)
    // What is no poll at all counts with everything else.
    const bare = { grant_type: deviceCodeGrantType, client_id: client.clientId }
    for (let n = 0; n < 3; n += 1) expect((await send(bare)).status).toBe(400)
    expect((await send(bare)).status).toBe(429)
  })
})

describe('whose address counts', () => {
  const attempt = (on: TestApp, ip: string, forwarded: string) =>
    on.request('/oauth/token', {
      method: 'POST',
      ip,
      headers: {
        'x-forwarded-for': forwarded,
        'x-real-ip': forwarded,
        forwarded: `for=${forwarded}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
    })

  it('is the sender, whatever the headers of a stranger say', async () => {
    const ip = newAddress()
    const statuses: number[] = []
    for (let n = 0; n < 5; n += 1) statuses.push((await attempt(app, ip, newAddress())).status)
    expect(statuses).toEqual([...times(4, 400), 429])
  })

  it('is the last untrusted hop when a trusted proxy says so', async () => {
    const proxied = await startTestApp({
      replicaOf: app,
      settings: { ...limits, TRUSTED_PROXIES: '10.0.0.0/8' },
    })
    const statuses: number[] = []
    for (let n = 0; n < 5; n += 1)
      statuses.push((await attempt(proxied, '10.0.0.1', `${newAddress()}, 203.0.113.9`)).status)
    expect(statuses).toEqual([...times(4, 400), 429])
    expect((await attempt(proxied, '10.0.0.2', '203.0.113.10, 10.0.0.3')).status).toBe(400)
    expect((await attempt(proxied, '203.0.113.11', '203.0.113.9')).status).toBe(400)
    await proxied.close()
  })
})

describe('a limiter', () => {
  const mountLimiter = (limiter: Limiter | undefined) =>
    mount(app, (routes) =>
      routes.get('/limited', async (c) => {
        await enforceLimit(c, app.database.db, limiter, c.var.address)
        return c.text('ok')
      }),
    )

  it('without an endpoint is counted as unknown', async () => {
    const { limiter } = createRateLimits({ enabled: true, redis: undefined })
    const small = mountLimiter(limiter({ name: 'unnamed', limit: 1 }))
    const { result, moved } = await observeUnchanged(app, async () => [
      (await small.request('/limited')).status,
      (await small.request('/limited')).status,
    ])
    expect(result).toEqual([200, 429])
    expect(moved).toEqual({
      ...checked('unknown', 'allowed'),
      ...checked('unknown', 'limited'),
      ...exceeded('unknown'),
    })
  })

  it('that is switched off lets all through and counts nothing', async () => {
    const { limiter } = createRateLimits({ enabled: false, redis: undefined })
    const small = mountLimiter(limiter({ name: 'off', limit: 1 }))
    const { moved } = await observe(app, async () => {
      for (let n = 0; n < 3; n += 1) {
        const response = await small.request('/limited')
        expect([response.status, response.headers.get('ratelimit')]).toEqual([200, null])
      }
    })
    expect(moved).toEqual({})
  })

  it('whose store is out of reach counts by itself, at once, and says so', async () => {
    // A port of ours that nobody listens on.
    const redis = connectRedis('redis://127.0.0.1:1', createLog({ level: 'silent' }))
    try {
      const { limiter } = createRateLimits({ enabled: true, redis })
      const small = mountLimiter(limiter({ name: 'x', endpoint: '/login', limit: 3 }))
      const start = performance.now()
      const { result, moved } = await observeUnchanged(app, async () => {
        const statuses: number[] = []
        for (let n = 0; n < 5; n += 1) statuses.push((await small.request('/limited')).status)
        return statuses
      })
      expect(result).toEqual([...times(3, 200), ...times(2, 429)])
      expect(moved).toEqual({
        ...checked('/login', 'fallback', 3),
        ...checked('/login', 'limited', 2),
        ...exceeded('/login', 2),
      })
      expect(performance.now() - start).toBeLessThan(1000)
    } finally {
      redis.close()
    }
  })

  it('refuses although the refusal cannot be audited, and counts the lost event', async () => {
    const { limiter } = createRateLimits({ enabled: true, redis: undefined })
    const broken = new Proxy(app.database.db, {
      get: (target, property) => {
        // The session, by which prepared statements are run.
        if (property === '_') throw new Error('no space left')
        return Reflect.get(target, property)
      },
    })
    const one = limiter({ name: 'unaudited', endpoint: '/login', limit: 1 })
    const small = mount(app, (routes) =>
      routes.get('/limited', async (c) => {
        await enforceLimit(c, broken, one, 'key')
        return c.text('ok')
      }),
    )
    await small.request('/limited')
    const { result, moved } = await observeUnchanged(app, () => small.request('/limited'))
    expect(result.status).toBe(429)
    expect(moved).toEqual({
      ...checked('/login', 'limited'),
      ...exceeded('/login'),
      audit_events_dropped_total: 1,
    })
  })
})

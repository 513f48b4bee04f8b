import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { users } from '#/database/schema/users.ts'
import { createPasswords } from '#/domain/users/passwords.ts'
import { loginRoutes } from '#/endpoints/login/routes.ts'
import { createCsrf } from '#/web/guards/csrf.ts'
import { requestTimeout } from '#/web/guards/request-timeout.ts'
import { createLimiters, createRateLimits } from '#/web/limits/rate-limit.ts'
import { createCookies } from '#/web/sessions/cookies.ts'
import { createSessionAccess } from '#/web/sessions/current-user.ts'
import { createKnownBrowsers } from '#/web/sessions/known-browsers.ts'
import { createSessionCookies } from '#/web/sessions/session-cookies.ts'
import { sessionPolicy } from '#/web/sessions/session-policy.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { authorizePath } from '../support/flow.ts'
import { addClient, addUser, testPassword } from '../support/people.ts'
import { mount } from './mount.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

const failed = (reason: string, source = 'local') => ({
  'auth_attempts_total{method="local",result="failure"}': 1,
  [`auth_login_total{auth_source="${source}",result="failure"}`]: 1,
  [`authgate_login_failures_total{reason="${reason}"}`]: 1,
})

const longName = 'x'.repeat(65)

describe('POST /login with credentials that do not match', () => {
  it('answers unknown user, wrong password and disabled account with the same page, byte by byte', async () => {
    const [user, disabled] = [await addUser(app.database.db), await addUser(app.database.db)]
    await app.database.db.update(users).set({ isActive: false }).where(eq(users.id, disabled.id))
    const unknown = `user-${crypto.randomUUID().slice(0, 13)}`
    const attempts = [
      { username: user.username, password: 'wrong password', moved: failed('wrong_password') },
      { username: unknown, password: testPassword, moved: failed('unknown_user', 'unknown') },
      { username: disabled.username, password: testPassword, moved: failed('account_inactive') },
      { username: disabled.username, password: 'wrong', moved: failed('wrong_password') },
      { username: user.username, password: '', moved: failed('wrong_password') },
    ]
    const answers: string[] = []
    for (const { username, password, moved: expected } of attempts) {
      const browser = openBrowser(app)
      const { result, moved } = await observeUnchanged(app, () =>
        browser.submit('/login', '/login', { username, password }),
      )
      expect([result.status, browser.cookies.has('oauth_session')]).toEqual([401, false])
      expect(moved).toEqual(expected)
      const headers = [...result.headers].filter(([name]) => name !== 'set-cookie').sort()
      const page = (await result.text())
        .replaceAll(username, 'NAME')
        .replaceAll(/value="[\w-]{43}"/g, '')
      expect(page).toContain('Incorrect username or password.')
      answers.push(JSON.stringify(headers) + page)
    }
    expect(new Set(answers).size).toBe(1)
  })

  it.each([
    ['nothing', {}],
    ['a username alone', { username: 'ada' }],
    ['a username with a quote', { username: "ada' or '1'='1", password: 'x' }],
    ['a username of 65 characters', { username: longName, password: 'x' }],
    ['a password of 60 000 characters', { username: 'ada', password: 'x'.repeat(60_000) }],
  ])('refuses %s like any other', async (_, fields) => {
    const { result, moved } = await observeUnchanged(app, () =>
      openBrowser(app).submit('/login', '/login', fields),
    )
    expect(result.status).toBe(401)
    expect(moved).toEqual(failed('unknown_user', 'unknown'))
  })

  it('keeps what was typed as the name of nobody out of the audit log', async () => {
    const typed = 'my-secret-password'
    const before = await countAudit(app, 'AUTHENTICATION_FAILURE')
    await openBrowser(app).submit('/login', '/login', { username: typed, password: 'x' })
    expect(await countAudit(app, 'AUTHENTICATION_FAILURE')).toBe(before + 1)
    const events = await app.database.db.query.auditEvents.findMany()
    expect(JSON.stringify(events)).not.toContain(typed)
  })

  it.each([
    ['a repeated username', 'username=a&username=b&password=x', 400],
    ['a NUL in the username', 'username=a%00&password=x', 400],
    ['a NUL in the password', 'username=a&password=%00', 400],
    ['a body of 65 KiB', `username=a&password=${'x'.repeat(65 * 1024)}`, 413],
  ])('refuses %s before it looks at anything', async (_, body, status) => {
    const browser = openBrowser(app)
    const csrf = csrfTokenOf(await (await browser.get('/login')).text())
    const { result, moved } = await observeUnchanged(app, () =>
      app.request('/login', {
        method: 'POST',
        body: `csrf_token=${csrf}&${body}`,
        headers: {
          cookie: `oauth_csrf=${browser.cookies.get('oauth_csrf')}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
      }),
    )
    expect([result.status, moved]).toEqual([status, {}])
  })

  it("refuses a form without this browser's CSRF token, right password or not", async () => {
    const user = await addUser(app.database.db)
    const foreign = csrfTokenOf(await (await openBrowser(app).get('/login')).text())
    for (const csrf_token of ['', 'x'.repeat(43), foreign]) {
      const browser = openBrowser(app)
      await browser.get('/login')
      const { result, moved } = await observeUnchanged(app, () =>
        browser.post('/login', { csrf_token, username: user.username, password: testPassword }),
      )
      expect([result.status, moved, browser.cookies.has('oauth_session')]).toEqual([403, {}, false])
    }
  })
})

describe('POST /login with the right credentials', () => {
  it('gives a new session and a new CSRF token: nothing from before the sign-in is worth anything', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    const before = csrfTokenOf(await (await browser.get('/login')).text())
    await browser.signIn(user.username)
    const first = browser.cookies.get('oauth_session')
    const during = csrfTokenOf(await (await browser.get('/account/devices')).text())
    expect(during).not.toBe(before)
    const { moved } = await observe(app, () => browser.signIn(user.username))
    const second = browser.cookies.get('oauth_session')
    expect(second).not.toBe(first)
    expect(moved).toMatchObject({
      'sessions_expired_total{reason="replaced"}': 1,
      sessions_created_total: 1,
    })
    for (const csrf_token of [before, during]) {
      const refused = await observeUnchanged(app, () =>
        browser.post('/account/devices/revoke-others', { csrf_token }),
      )
      expect(refused.result.status).toBe(403)
    }
    const old = openBrowser(app, { cookies: new Map([['oauth_session', first ?? '']]) })
    expect((await old.get('/account/devices')).status).toBe(303)
  })

  it('takes no session that an attacker planted', async () => {
    const [attacker, victim] = [await addUser(app.database.db), await addUser(app.database.db)]
    const own = openBrowser(app)
    await own.signIn(attacker.username)
    const planted = own.cookies.get('oauth_session') ?? ''
    const browser = openBrowser(app, { cookies: new Map([['oauth_session', planted]]) })
    await browser.signIn(victim.username)
    expect(browser.cookies.get('oauth_session')).not.toBe(planted)
    expect((await own.get('/account/devices')).status).toBe(303)
  })

  it('finds the account whatever the case and the spaces around its name', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    const response = await browser.signIn(`  ${user.username.toUpperCase()} `)
    expect([response.status, response.headers.get('location')]).toEqual([303, '/account/devices'])
  })

  it('sets cookies that scripts cannot read and other sites cannot send', async () => {
    const secure = await startTestApp({
      replicaOf: app,
      settings: { BASE_URL: 'https://id.example.test' },
    })
    const user = await addUser(app.database.db)
    for (const [on, isSecure] of [
      [app, false],
      [secure, true],
    ] as const) {
      const response = await openBrowser(on).signIn(user.username, { remember_me: '1' })
      const cookies = response.headers.getSetCookie()
      const session = cookies.find((line) => line.startsWith('oauth_session=')) ?? ''
      expect(session).toMatch(/; Path=\/; HttpOnly/)
      expect(session).toContain('SameSite=Lax')
      expect(session).toContain('Max-Age=2592000')
      for (const line of cookies) {
        expect(line).toContain('HttpOnly')
        expect(line.includes('Secure')).toBe(isSecure)
      }
      expect(response.headers.has('strict-transport-security')).toBe(isSecure)
    }
    await secure.close()
  })
})

describe('where a sign-in leads', () => {
  const evil = [
    '//evil.test',
    '///evil.test',
    '/\\evil.test',
    '\\\\evil.test',
    '/\\/evil.test',
    'https://evil.test',
    'https:evil.test',
    'http:/evil.test',
    'javascript:alert(1)',
    'data:text/html,x',
    '/\t/evil.test',
    '/\n/evil.test',
    '\t//evil.test',
    ' //evil.test',
    '/.//evil.test',
    '/..//evil.test',
    '/a/..//evil.test',
    '/%2e%2e//evil.test',
    '@evil.test',
    '.evil.test',
    '//localhost:8080@evil.test/',
    '/\u0001/evil.test',
    '/\u0085/evil.test',
    '',
    'account/devices',
    `/${'x'.repeat(5000)}`,
  ]
  it.each(evil)(
    'leads to the start page instead of %j, before and after the sign-in',
    async (target) => {
      const user = await addUser(app.database.db)
      const browser = openBrowser(app)
      const path = `/login?redirect=${encodeURIComponent(target)}`
      const html = await (await browser.get(path)).text()
      expect(hiddenField(html, 'redirect')).toBe('/account/devices')
      const posted = await browser.post('/login', {
        csrf_token: csrfTokenOf(html),
        username: user.username,
        password: testPassword,
        redirect: target,
      })
      expect([posted.status, posted.headers.get('location')]).toEqual([303, '/account/devices'])
      const greeted = await browser.get(path)
      expect([greeted.status, greeted.headers.get('location')]).toEqual([303, '/account/devices'])
    },
  )

  // Encoded once more, these stay a path of ours: nothing decodes them again.
  it.each([
    '/%09/evil.test',
    '/%2F%2Fevil.test',
    '/%5Cevil.test',
    '/https://evil.test',
    '/@evil.test',
    '/a?next=//evil.test',
  ])('takes %j for the path of ours that it is', async (target) => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    const posted = await browser.signIn(user.username, { redirect: target })
    const location = posted.headers.get('location') ?? ''
    expect(location).toBe(target)
    expect(new URL(location, 'https://id.example.test').host).toBe('id.example.test')
  })

  it('survives a stored request that does not exist or could not', async () => {
    for (const id of ['', 'x', '%2500', 'x'.repeat(4000)]) {
      const target = encodeURIComponent('/oauth/authorize?authorization_request=')
      const response = await openBrowser(app).get(`/login?redirect=${target}${id}`)
      expect(response.status).toBe(200)
    }
  })

  it('lets the form lead to the client that waits for it, and to nobody else', async () => {
    const { client } = await addClient(app.database.db)
    const browser = openBrowser(app)
    const asked = await browser.get(authorizePath(client.clientId))
    const page = await browser.get(asked.headers.get('location') ?? '')
    expect(page.headers.get('content-security-policy')).toContain(
      "form-action 'self' https://app.example.test;",
    )
    const plain = await browser.get('/login')
    expect(plain.headers.get('content-security-policy')).toContain("form-action 'self';")
  })
})

describe('a flood of sign-ins', () => {
  it('is turned away early with 503 and Retry-After, and counted apart from wrong passwords', async () => {
    const user = await addUser(app.database.db)
    const passwords = createPasswords({ concurrency: 1, queueLimit: 0 })
    const small = mountLogin(passwords)
    const browser = openBrowser(small)
    const html = await (await browser.get('/login')).text()
    const fields = {
      csrf_token: csrfTokenOf(html),
      username: user.username,
      password: testPassword,
    }
    const { result, moved } = await observeUnchanged(app, async () => {
      const busy = passwords.hash('keeps the only place busy')
      const response = await browser.post('/login', fields)
      await busy
      return response
    })
    expect([result.status, result.headers.get('retry-after')]).toEqual([503, '5'])
    expect(result.headers.get('content-type')).toMatch(/^text\/html/)
    expect(moved).toEqual({ 'authgate_login_failures_total{reason="overloaded"}': 1 })
    expect((await browser.post('/login', fields)).status).toBe(303)
  })

  it('is counted once for each post, also for those that wait longer than there is time for', async () => {
    const user = await addUser(app.database.db)
    const passwords = createPasswords({ concurrency: 1 })
    const timeoutMs = 400
    const small = mountLogin(passwords, timeoutMs)
    const browser = openBrowser(small)
    const csrf_token = csrfTokenOf(await (await browser.get('/login')).text())
    const posts = [testPassword, 'wrong', testPassword, 'wrong', 'wrong', 'wrong']
    const { result, moved } = await observe(app, async () => {
      // Whoever is known goes first: nobody else's turn comes in time.
      const ends = performance.now() + 2 * timeoutMs
      const busy = Array.from({ length: 8 }, async () => {
        while (performance.now() < ends) await passwords.hash('keeps the only place busy')
      })
      const answers = await Promise.all(
        posts.map((password) =>
          browser.post('/login', { csrf_token, username: user.username, password }),
        ),
      )
      await Promise.all(busy)
      return answers.map(({ status }) => status)
    })
    const answered = (status: number) => result.filter((other) => other === status).length
    const counted = (series: string) => moved[series] ?? 0
    expect(answered(503)).toBeGreaterThan(0)
    expect([
      counted('authgate_login_failures_total{reason="overloaded"}'),
      counted('authgate_login_failures_total{reason="wrong_password"}'),
      counted('auth_login_total{auth_source="local",result="success"}'),
    ]).toEqual([answered(503), answered(401), answered(303)])
  })

  it('answers a program in JSON', async () => {
    const passwords = createPasswords({ concurrency: 1, queueLimit: 0 })
    const small = mountLogin(passwords)
    const browser = openBrowser(small)
    const csrf = csrfTokenOf(await (await browser.get('/login')).text())
    const busy = passwords.hash('keeps the only place busy')
    const response = await small.request('/login', {
      method: 'POST',
      body: `csrf_token=${csrf}&username=x&password=y`,
      headers: {
        cookie: `oauth_csrf=${browser.cookies.get('oauth_csrf')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
    })
    expect([response.status, await response.json()]).toMatchObject([
      503,
      { error: 'temporarily_unavailable' },
    ])
    await busy
  })
})

function mountLogin(passwords: ReturnType<typeof createPasswords>, timeoutMs = 30_000) {
  const db = app.database.db
  const jar = createCookies({ secure: false, path: '/' })
  const sealing = { secrets: app.config.sessions.secrets ?? [], jar }
  const cookies = createSessionCookies(sealing)
  const policy = sessionPolicy(app.config.sessions.policy)
  return mount(app, (routes) =>
    routes.use(requestTimeout(timeoutMs)).route(
      '/',
      loginRoutes({
        externalApi: undefined,
        isReserved: () => false,
        db,
        cookies,
        policy,
        passwords,
        clients: { get: async () => undefined, invalidate: () => {} },
        providers: [],
        sessions: createSessionAccess({ db, cookies, policy }),
        csrf: createCsrf({ ...sealing, issuer: app.config.server.baseUrl }),
        limits: createLimiters(
          createRateLimits({ enabled: false, redis: undefined }),
          app.config.limits,
        ),
        knownBrowsers: createKnownBrowsers(sealing),
      }),
    ),
  )
}

describe('GET /logout', () => {
  it('signs nobody out: 405 with Allow', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    await browser.signIn(user.username)
    const { result } = await observeUnchanged(app, () => browser.get('/logout'))
    expect([result.status, result.headers.get('allow')]).toEqual([405, 'POST'])
    expect((await browser.get('/account/devices')).status).toBe(200)
  })

  it('POST /logout without a token of this session ends nothing', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    await browser.signIn(user.username)
    for (const csrf_token of ['', 'x'.repeat(43)]) {
      const { result, moved } = await observeUnchanged(app, () =>
        browser.post('/logout', { csrf_token }),
      )
      expect([result.status, moved]).toEqual([403, {}])
    }
    expect((await browser.get('/account/devices')).status).toBe(200)
  })
})

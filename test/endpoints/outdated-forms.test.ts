/** Forms that are older than the session, pressed twice, or sent by somebody else. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { authorizePath, decide } from '../support/flow.ts'
import { addAdmin, addClient, addUser, testPassword } from '../support/people.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let secure: TestApp
beforeAll(async () => {
  app = await startTestApp()
  secure = await startTestApp({
    replicaOf: app,
    settings: { BASE_URL: 'https://id.example.test' },
  })
})
afterAll(async () => {
  await secure.close()
  await app.close()
})

const agent =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36'

/** A browser that says where its requests come from. */
const browserFrom = (headers: Record<string, string>, on = app, cookies?: Map<string, string>) =>
  openBrowser(
    {
      request: (path, init = {}) => {
        const all = new Headers(init.headers)
        for (const [name, value] of Object.entries(headers)) all.set(name, value)
        return on.request(path, { ...init, headers: all })
      },
    },
    { userAgent: agent, ...(cookies && { cookies }) },
  )

const redirectOf = (response: Response) =>
  new URL(response.headers.get('location') ?? '', 'http://self').searchParams.get('redirect') ?? ''

const isSignedIn = async (browser: Browser) =>
  (await browser.get('/account/devices')).status === 200

async function signInForm(browser: Browser, username: string, page = '/login') {
  const html = await (await browser.get(page)).text()
  return {
    csrf_token: csrfTokenOf(html),
    submission: hiddenField(html, 'submission'),
    redirect: hiddenField(html, 'redirect'),
    username,
    password: testPassword,
  }
}

describe('a form from another place', () => {
  const foreign: [string, Record<string, string>][] = [
    ['a sibling domain', { origin: 'http://evil.localhost', 'sec-fetch-site': 'same-site' }],
    ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['an origin of another port', { origin: 'http://localhost:9' }],
    ['a sandbox', { origin: 'null' }],
  ]
  it.each(foreign)(
    '%s signs nobody in, although it planted a cookie and has its token',
    async (_, headers) => {
      const attacker = await addUser(app.database.db)
      const cookies = new Map<string, string>()
      const fields = await signInForm(openBrowser(app, { cookies }), attacker.username)
      const victim = browserFrom(headers, app, cookies)
      const { result, moved } = await observeUnchanged(app, () => victim.post('/login', fields))
      expect([result.status, moved, cookies.has('oauth_session')]).toEqual([403, {}, false])
      expect(await result.text()).toContain('came from another site')
    },
  )

  const own: [string, Record<string, string>][] = [
    ['our own page', { origin: 'http://localhost', 'sec-fetch-site': 'same-origin' }],
    ['our own page, where referrers are off', { origin: 'null', 'sec-fetch-site': 'same-origin' }],
    ['our own page over plain http', { origin: 'http://localhost' }],
    ['an old browser', {}],
  ]
  it.each(own)('%s signs in as ever', async (_, headers) => {
    const user = await addUser(app.database.db)
    const browser = browserFrom(headers)
    expect((await browser.signIn(user.username)).status).toBe(303)
    expect(await isSignedIn(browser)).toBe(true)
  })

  it('begins no sign-in at a provider: it leads to our page, from where one can', async () => {
    const withProvider = await startTestApp({
      replicaOf: app,
      settings: { GITHUB_OAUTH_ENABLED: 'true', GITHUB_CLIENT_ID: 'x', GITHUB_CLIENT_SECRET: 'x' },
    })
    const start = '/auth/login/github?redirect=%2Fapps&remember_me=1'
    for (const site of ['cross-site', 'same-site']) {
      const sent = await browserFrom({ 'sec-fetch-site': site }, withProvider).get(start)
      expect(sent.headers.get('location')).toBe('/login?redirect=%2Fapps&remember_me=1')
      expect(sent.headers.getSetCookie()).toEqual([])
    }
    for (const site of ['same-origin', 'none']) {
      const sent = await browserFrom({ 'sec-fetch-site': site }, withProvider).get(start)
      expect(sent.headers.get('location')).toContain('https://github.com/')
    }
    await withProvider.close()
  })
})

describe('a sign-in form that is out of date', () => {
  it('leads on to its own request when the same person has signed in meanwhile', async () => {
    const user = await addUser(app.database.db)
    const { clientId } = (await addClient(app.database.db)).client
    const browser = openBrowser(app)
    const pages = await Promise.all(
      ['one', 'two'].map(async (state) => {
        const asked = await browser.get(authorizePath(clientId, { state }))
        return `/login?${new URLSearchParams({ redirect: redirectOf(asked) })}`
      }),
    )
    const [one, two] = [
      await signInForm(browser, user.username, pages[0]),
      await signInForm(browser, user.username, pages[1]),
    ]
    expect((await browser.post('/login', one)).headers.get('location')).toBe(one.redirect)
    const { result, moved } = await observeUnchanged(app, () => browser.post('/login', two))
    expect([result.status, result.headers.get('location'), moved]).toEqual([303, two.redirect, {}])
    expect((await decide(browser, two.redirect, 'approve')).headers.get('location')).toContain(
      'state=two',
    )
  })

  it('is shown again, with the name and without the password, to everybody else', async () => {
    const [user, other] = [await addUser(app.database.db), await addUser(app.database.db)]
    const browser = openBrowser(app)
    const fields = await signInForm(browser, other.username, '/login?redirect=%2Fapps')
    await browser.signIn(user.username)
    const { result } = await observeUnchanged(app, () => browser.post('/login', fields))
    const html = await result.text()
    expect(result.status).toBe(403)
    expect(html).toContain('this page had expired')
    expect(html).toContain(`value="${other.username}"`)
    expect(html).not.toContain(testPassword)
    expect(hiddenField(html, 'redirect')).toBe('/apps')
    const again = await browser.post('/login', { ...fields, csrf_token: csrfTokenOf(html) })
    expect(again.headers.get('location')).toBe('/apps')
  })
})

describe('a form that is out of date and holds what somebody has typed', () => {
  it.each([
    ['/apps/new', '/apps', { client_name: 'My own app' }],
    ['/admin/users', '/admin/users', { username: 'typed-name' }],
    ['/admin/clients', '/admin/clients', { client_name: 'Typed client' }],
  ])('%s shows it again and saves nothing', async (page, action, typed) => {
    const admin = await addAdmin(app.database.db)
    const browser = openBrowser(app)
    await browser.signIn(admin.username)
    const csrf_token = csrfTokenOf(await (await browser.get(page)).text())
    await browser.signIn(admin.username)
    const { result, moved } = await observeUnchanged(app, () =>
      browser.post(action, { csrf_token, ...typed }),
    )
    const html = await result.text()
    expect([result.status, moved]).toEqual([403, {}])
    expect(html).toContain('this page had expired')
    expect(html).toContain(`value="${Object.values(typed)[0]}"`)
  })

  it('signing out twice is signed out', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    await browser.signIn(user.username)
    const csrf_token = csrfTokenOf(await (await browser.get('/account/devices')).text())
    await browser.signOut()
    const { result, moved } = await observeUnchanged(app, () =>
      browser.post('/logout', { csrf_token }),
    )
    expect([result.status, result.headers.get('location'), moved]).toEqual([303, '/login', {}])
  })
})

describe('a sign-in button that is pressed twice', () => {
  it('starts one session on two replicas, and counts once', async () => {
    const user = await addUser(app.database.db)
    const replica = await startTestApp({ replicaOf: app })
    const browser = openBrowser(app)
    const fields = await signInForm(browser, user.username)
    const presses = [browser.clone(), openBrowser(replica, { cookies: new Map(browser.cookies) })]
    const elsewhere = await replica.samples()
    const { result, moved } = await observe(app, () =>
      Promise.all(presses.map((by) => by.post('/login', fields))),
    )
    expect(result.map(({ status }) => status)).toEqual([303, 303])
    const after = await replica.samples()
    for (const series of [
      'sessions_created_total',
      'auth_login_total{auth_source="local",result="success"}',
    ]) {
      const there = (after.get(series) ?? 0) - (elsewhere.get(series) ?? 0)
      expect((moved[series] ?? 0) + there, series).toBe(1)
    }
    expect(moved['sessions_active']).toBe(1)
    expect(await Promise.all(presses.map(isSignedIn))).toEqual([true, true])

    await presses[0]?.signOut()
    const late = browser.clone()
    expect((await late.post('/login', fields)).status).toBe(303)
    expect(await isSignedIn(late)).toBe(true)
    expect(await Promise.all(presses.map(isSignedIn))).toEqual([false, false])
    await replica.close()
  })
})

describe('cookies under https', () => {
  /** Of the release before: one that knows plain names alone. */
  const earlier = () => app
  const names = (cookies: Map<string, string>) => [...cookies.keys()].sort()

  it('have names that no other host can plant, and plain ones for replicas of the release before', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(secure)
    const response = await browser.signIn(user.username)
    expect(names(browser.cookies)).toEqual([
      '__Host-oauth_csrf',
      '__Host-oauth_known_browser',
      '__Host-oauth_session',
      'oauth_csrf',
      'oauth_session',
    ])
    for (const line of response.headers.getSetCookie())
      expect(line).toMatch(/; Path=\/; HttpOnly; Secure; SameSite=Lax/)
    const { cookies } = browser
    expect(await isSignedIn(openBrowser(earlier(), { cookies: new Map(cookies) }))).toBe(true)
    expect((await browser.signOut()).status).toBe(303)
    expect(names(cookies).filter((name) => name.endsWith('session'))).toEqual([])
  })

  it('sign nobody out at the upgrade: a session of the release before goes on, and gets its new name', async () => {
    const user = await addUser(app.database.db)
    const cookies = new Map<string, string>()
    await openBrowser(earlier(), { cookies }).signIn(user.username)
    const upgraded = openBrowser(secure, { cookies })
    expect(await isSignedIn(upgraded)).toBe(true)
    expect(cookies.has('__Host-oauth_session')).toBe(true)
    cookies.delete('oauth_session')
    expect(await isSignedIn(upgraded)).toBe(true)
  })

  it('follow a sign-in on a replica of the release before, which ends what this one has started', async () => {
    const user = await addUser(app.database.db)
    const cookies = new Map<string, string>()
    await openBrowser(secure, { cookies }).signIn(user.username)
    await openBrowser(earlier(), { cookies }).signIn(user.username)
    expect(await isSignedIn(openBrowser(secure, { cookies }))).toBe(true)
  })

  it('take no session of this release under the plain name, which others can plant', async () => {
    const attacker = await addUser(app.database.db)
    const own = openBrowser(secure)
    await own.signIn(attacker.username)
    const planted = new Map([['oauth_session', own.cookies.get('oauth_session') ?? '']])
    expect(await isSignedIn(openBrowser(secure, { cookies: planted }))).toBe(false)
  })
})

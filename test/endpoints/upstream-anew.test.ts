/** What clients are told of when somebody proved who they are, where a provider is who knows (OIDC Core §3.1.2.1). */
import { eq } from 'drizzle-orm'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { answerConsent, authorizePath, parametersOf, redeemCode } from '../support/flow.ts'
import {
  type IdentityProvider,
  type Person,
  startIdentityProvider,
} from '../support/identity-provider.ts'
import { addClient } from '../support/people.ts'

let upstream: IdentityProvider
let app: TestApp
beforeAll(async () => {
  upstream = await startIdentityProvider()
  app = await startTestApp({ settings: upstream.settings })
})
afterAll(async () => {
  await app.close()
  await upstream.close()
})
afterEach(() => upstream.misbehave({}))

const seconds = () => Math.floor(Date.now() / 1000)
let latest = 5000

function newPerson(): Person {
  latest += 1
  const username = `an-${crypto.randomUUID().slice(0, 8)}`
  return { id: latest, username, email: `${username}@up.example.test`, verified: true }
}

async function setUp() {
  const { client } = await addClient(app.database.db)
  const { clientId } = client
  const path = (more: Record<string, string> = {}) =>
    authorizePath(clientId, { scope: 'openid', ...more })
  return { clientId, path, browser: openBrowser(app), person: newPerson() }
}

/** The sign-in page that a request leads to, and the path that it leads back to. */
async function signInPage(browser: Browser, path: string) {
  const asked = await browser.get(path)
  const login = asked.headers.get('location') ?? ''
  expect([asked.status, login.split('?')[0]]).toEqual([303, '/login'])
  const redirect = new URL(login, 'http://self').searchParams.get('redirect') ?? ''
  return { redirect, page: await (await browser.get(login)).text() }
}

/** Where the link of the sign-in page leads. */
async function follow(browser: Browser, source: string, redirect?: string) {
  const query = redirect === undefined ? '' : `?${new URLSearchParams({ redirect })}`
  const left = await browser.get(`/auth/login/${source}${query}`)
  expect(left.status).toBe(303)
  return left.headers.get('location') ?? ''
}

const wishesIn = (location: string) => {
  const { searchParams: query } = new URL(location)
  return { prompt: query.get('prompt'), age: query.get('max_age'), hint: query.get('login_hint') }
}

const comeBack = (browser: Browser, source: string, location: string, person: Person) =>
  browser.get(`/auth/callback/${source}?${upstream.approve(location, person)}`)

interface Visit {
  readonly browser: Browser
  readonly person: Person
  readonly source?: string
}

/** Signs in through a provider because `path` demands it, and goes on to what the client is told. */
async function walk({ browser, person, source = 'oidc' }: Visit, path: string) {
  const { redirect } = await signInPage(browser, path)
  const back = await comeBack(browser, source, await follow(browser, source, redirect), person)
  if (back.status !== 303) return back
  expect(back.headers.get('location')).toBe(redirect)
  const page = await browser.get(redirect)
  return page.status === 200 ? answerConsent(browser, page, 'approve') : page
}

async function idTokenOf(clientId: string, response: Response) {
  const { code = '' } = parametersOf(response)
  const answer = await redeemCode(app, clientId, code)
  return decodeJwt(((await answer.json()) as { id_token: string }).id_token)
}

/** Signed in for long, from a session that the provider has had for longer. */
async function signedIn() {
  const known = await setUp()
  await comeBack(known.browser, 'oidc', await follow(known.browser, 'oidc'), known.person)
  await app.database.db
    .update(sessions)
    .set({ createdAt: new Date(Date.now() - 600_000) })
    .where(eq(sessions.loginSource, 'oidc'))
  return known
}

const isLater = (what: unknown, than: number) => expect(Number(what)).toBeGreaterThanOrEqual(than)

describe.each(['oidc', 'microsoft'])('through %s', (source) => {
  it.each([
    ['prompt=login', { prompt: 'login' }, { prompt: 'login', age: '30' }],
    ['max_age=0', { max_age: '0' }, { prompt: 'login', age: '30' }],
    ['max_age=60', { max_age: '60' }, { prompt: null, age: '60' }],
    ['no wish', {}, { prompt: null, age: null }],
  ])('a request with %s says so to the provider', async (_, more, wishes) => {
    const { browser, path } = await setUp()
    const { redirect } = await signInPage(browser, path({ ...more, login_hint: 'ada@up.test' }))
    const location = await follow(browser, source, redirect)
    expect(wishesIn(location)).toEqual({ ...wishes, hint: 'ada@up.test' })
    // Without a request that waits there is nothing to say.
    expect(wishesIn(await follow(browser, source))).toEqual({ prompt: null, age: null, hint: null })
  })

  it('tells the client the time at which the provider asked', async () => {
    const { clientId, path, browser, person } = await setUp()
    upstream.misbehave({ claims: { auth_time: seconds() - 50 } })
    const sent = await walk({ browser, person, source }, path({ max_age: '60' }))
    const { auth_time } = await idTokenOf(clientId, sent)
    expect(seconds() - Number(auth_time)).toBeGreaterThanOrEqual(50)
    expect(seconds() - Number(auth_time)).toBeLessThan(60)
  })

  it.each([
    ['prompt=login', { prompt: 'login' }],
    ['max_age=60', { max_age: '60' }],
  ])('%s is met by who was asked anew', async (_, more) => {
    const { clientId, path, browser, person } = await signedIn()
    const before = seconds()
    const sent = await walk({ browser, person, source: 'oidc' }, path(more))
    isLater((await idTokenOf(clientId, sent))['auth_time'], before)
  })

  it.each([
    ['an old session of its own', { prompt: 'login' }, { auth_time: 1_700_000_000 }],
    ['no time at all', { prompt: 'login' }, { auth_time: undefined }],
    ['a time that is none', { prompt: 'login' }, { auth_time: 'now' }],
    ['a session that is too old', { max_age: '60' }, { auth_time: seconds() - 300 }],
    ['no time for max_age', { max_age: '60' }, { auth_time: undefined }],
  ])('nobody is signed in by an answer from %s', async (_, more, claims) => {
    const { path, browser, person } = await setUp()
    upstream.misbehave({ claims })
    const refused = await walk({ browser, person, source }, path(more))
    expect([refused.status, browser.cookies.has('oauth_session')]).toEqual([502, false])
  })
})

it('a sign-in that leaves the request out proves nothing: the client is told so', async () => {
  const { path, browser, person } = await signedIn()
  const { redirect } = await signInPage(browser, path({ prompt: 'login' }))
  // Whoever sits at an open browser goes around the demand; the provider answers silently.
  upstream.misbehave({ claims: { auth_time: seconds() - 3600 } })
  await comeBack(browser, 'oidc', await follow(browser, 'oidc'), person)
  const refused = await browser.get(redirect)
  expect([refused.status, parametersOf(refused)]).toMatchObject([302, { error: 'login_required' }])
  const again = await browser.get(redirect)
  expect(again.headers.get('location')).toBe(refused.headers.get('location'))
})

it.each(['github', 'gitea', 'gitlab'])(
  'through %s nobody proves anything anew: it is not offered, and the client is told so',
  async (source) => {
    const { path, browser, person } = await setUp()
    for (const more of [{ prompt: 'login' }, { max_age: '600' }]) {
      const { page } = await signInPage(browser, path(more))
      expect(page).not.toContain(`/auth/login/${source}`)
      expect(page).toContain('/auth/login/oidc')
      expect(page).toContain(
        'requires a recent sign-in, which GitHub or Gitea or GitLab cannot confirm',
      )
      const refused = await walk({ browser, person, source }, path(more))
      expect(parametersOf(refused)).toMatchObject({ error: 'login_required', state: 'state-1' })
      browser.cookies.delete('oauth_session')
    }
    const { page } = await signInPage(browser, path())
    expect(page).toContain(`/auth/login/${source}`)
    expect(page).not.toContain('requires a recent sign-in')
  },
)

it('says no time where nobody knows it, and asks again where a client has to know', async () => {
  const { clientId, path, browser, person } = await setUp()
  const sent = await walk({ browser, person, source: 'github' }, path())
  const claims = await idTokenOf(clientId, sent)
  expect(claims.sub).toBeDefined()
  expect(claims).not.toHaveProperty('auth_time')
  expect(claims).not.toHaveProperty('acr')
  await app.database.db
    .update(clients)
    .set({ requireAuthTime: true })
    .where(eq(clients.clientId, clientId))
  const strict = await startTestApp({ settings: upstream.settings, replicaOf: app })
  const elsewhere = openBrowser(strict, { cookies: browser.cookies })
  const asked = await elsewhere.get(path())
  expect(asked.headers.get('location')).toMatch(/^\/login\?.*again=1/)
  await strict.close()
})

it('keeps what the provider said beside the session, never later than now', async () => {
  const { browser, person } = await setUp()
  upstream.misbehave({ claims: { auth_time: seconds() + 3600 } })
  await comeBack(browser, 'oidc', await follow(browser, 'oidc'), person)
  const rows = await app.database.db.select().from(sessions).where(eq(sessions.loginSource, 'oidc'))
  const last = rows.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())[0]
  expect(last?.authTime).toEqual(last?.createdAt)
})

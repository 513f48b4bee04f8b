/** What OpenID Connect asks of the authorization endpoint: how the user is met, how the answer travels, what it tells. */
import { createHash } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewClient } from '#/domain/clients/clients.ts'
import { acrValues } from '#/protocol/authentication.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { authorizePath, decide, obtainTokens, parametersOf, postToken } from '../support/flow.ts'
import { addClient, addUser, testPassword } from '../support/people.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

type More = Record<string, string | undefined>

/** A user in a browser, and a confidential client that may do without PKCE and whose consent is remembered. */
async function setUp(client: Partial<NewClient> = {}) {
  const user = await addUser(app.database.db)
  const created = await addClient(app.database.db, { type: 'confidential', ...client })
  const { clientId } = created.client
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  const path = (more: More = {}) =>
    authorizePath(clientId, {
      scope: 'openid profile email',
      code_challenge: undefined,
      code_challenge_method: undefined,
      ...more,
    })
  return { user, browser, clientId, secret: created.secret ?? '', path }
}

type SetUp = Awaited<ReturnType<typeof setUp>>

/** The same, with the client's consent given. */
async function setUpKnown(client: Partial<NewClient> = {}): Promise<SetUp> {
  const known = await setUp(client)
  expect(codeIn(await decide(known.browser, known.path(), 'approve'))).toHaveLength(43)
  return known
}

const codeIn = (response: Response) => parametersOf(response)['code']

async function redeem({ clientId, secret }: SetUp, code: string | undefined) {
  const fields = {
    grant_type: 'authorization_code',
    code: code ?? '',
    redirect_uri: redirectUri,
    client_id: clientId,
    client_secret: secret,
  }
  const answer = await postToken(app, fields)
  return (await answer.json()) as { access_token: string; id_token: string; scope: string }
}

const loginOf = (response: Response) => {
  const login = new URL(response.headers.get('location') ?? '', 'http://self')
  return { login, redirect: login.searchParams.get('redirect') ?? '' }
}

/** Signs in on the page to which `response` leads, and goes on from there. */
async function signInAgain(browser: Browser, response: Response, username: string) {
  const { login, redirect } = loginOf(response)
  expect([response.status, login.pathname]).toEqual([303, '/login'])
  const done = await browser.submit(login.pathname + login.search, '/login', {
    username,
    password: testPassword,
    redirect,
  })
  expect([done.status, done.headers.get('location')]).toEqual([303, redirect])
  return browser.get(redirect)
}

const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/authorize",error="${error}"}`]: 1,
})

async function expectSilent(get: () => Promise<Response>, error: string) {
  const { result, moved } = await observeUnchanged(app, get)
  expect(result.status).toBe(302)
  expect(parametersOf(result)).toMatchObject({
    error,
    state: 'state-1',
    iss: app.config.server.baseUrl,
  })
  expect(moved).toEqual(errors(error))
}

describe('prompt=none', () => {
  it('never shows a page: without a session, and without consent, it is an error', async () => {
    const { browser, path } = await setUp()
    await expectSilent(() => openBrowser(app).get(path({ prompt: 'none' })), 'login_required')
    await expectSilent(() => browser.get(path({ prompt: 'none' })), 'consent_required')
  })

  it('answers with a code when nothing has to be asked', async () => {
    const known = await setUpKnown()
    const { result, moved } = await observe(app, () =>
      known.browser.get(known.path({ prompt: 'none' })),
    )
    expect(codeIn(result)).toHaveLength(43)
    expect(moved).toEqual({
      'authgate_authorization_codes_total{event="issued"}': 1,
      'authgate_consent_decisions_total{decision="remembered"}': 1,
    })
  })

  it('asks for consent never of a public client on a loopback port, which cannot be remembered', async () => {
    const { user } = await setUp()
    const { client } = await addClient(app.database.db, { redirectUris: ['http://127.0.0.1/cb'] })
    const browser = openBrowser(app)
    await browser.signIn(user.username)
    const more = { redirect_uri: 'http://127.0.0.1:4711/cb', prompt: 'none' }
    await expectSilent(() => browser.get(authorizePath(client.clientId, more)), 'consent_required')
  })
})

describe('prompt=login and max_age', () => {
  const asked: [string, More][] = [
    ['prompt=login', { prompt: 'login' }],
    ['max_age=0', { max_age: '0' }],
    ['max_age=60', { max_age: '60' }],
  ]
  it.each(asked)('%s: has the user sign in once more, once, and tells when', async (_, more) => {
    const known = await setUpKnown()
    const { browser, user, path } = known
    app.advance(61_000)
    const first = await browser.get(path(more))
    expect(loginOf(first).login.searchParams.get('again')).toBe('1')
    const page = await (await browser.get(first.headers.get('location') ?? '')).text()
    expect(page).toContain('sign in again to continue')
    expect(page).toContain(`value="${user.username}"`)
    // Coming back without having done so leads to the sign-in again, however often.
    for (const _again of [1, 2]) {
      const back = await browser.get(loginOf(first).redirect)
      expect(loginOf(back).login.searchParams.get('again')).toBe('1')
    }
    const before = Math.floor(app.now().getTime() / 1000)
    const { result, moved } = await observe(app, () => signInAgain(browser, first, user.username))
    const id = decodeJwt((await redeem(known, codeIn(result))).id_token)
    expect(id['auth_time']).toBeGreaterThanOrEqual(before)
    expect(moved).toMatchObject({
      'sessions_expired_total{reason="replaced"}': 1,
      sessions_created_total: 1,
    })
  })

  it('a session young enough for max_age is enough', async () => {
    const known = await setUpKnown()
    app.advance(30_000)
    const sent = await known.browser.get(known.path({ max_age: '60' }))
    const id = decodeJwt((await redeem(known, codeIn(sent))).id_token)
    const age = Math.floor(app.now().getTime() / 1000) - Number(id['auth_time'])
    expect(age).toBeGreaterThanOrEqual(29)
  })

  it('the max_age that a client is registered with counts when the request names none', async () => {
    const { browser, path } = await setUpKnown({ defaultMaxAge: 60 })
    expect(codeIn(await browser.get(path()))).toHaveLength(43)
    app.advance(61_000)
    expect(loginOf(await browser.get(path())).login.searchParams.get('again')).toBe('1')
    expect(codeIn(await browser.get(path({ max_age: '600' })))).toHaveLength(43)
    await expectSilent(() => browser.get(path({ prompt: 'none' })), 'login_required')
  })

  it('an approval posted past the sign-in page leads back to it and saves nothing', async () => {
    const { browser, path } = await setUpKnown()
    const stored = loginOf(await browser.get(path({ prompt: 'login' }))).redirect
    const id = new URLSearchParams(stored.split('?')[1]).get('authorization_request') ?? ''
    const csrf_token = csrfTokenOf(await (await browser.get('/account/devices')).text())
    const fields = { csrf_token, authorization_request: id, action: 'approve' }
    const { result, moved } = await observeUnchanged(app, () =>
      browser.post('/oauth/authorize', fields),
    )
    expect([result.status, result.headers.get('location')]).toEqual([303, stored])
    expect(moved).toEqual({})
  })

  it('together with prompt=consent: first the sign-in, then the question', async () => {
    const { browser, user, path } = await setUpKnown()
    const page = await signInAgain(
      browser,
      await browser.get(path({ prompt: 'login consent' })),
      user.username,
    )
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('wants to use your account')
  })
})

describe('prompt=consent', () => {
  it('asks although everything was approved before', async () => {
    const { browser, path } = await setUpKnown()
    expect((await browser.get(path({ prompt: 'consent' }))).status).toBe(200)
    expect(codeIn(await decide(browser, path({ prompt: 'consent' }), 'approve'))).toHaveLength(43)
  })
})

describe('prompt=select_account', () => {
  const choose = async (browser: Browser, page: Response) => {
    const html = await page.text()
    expect(html).toContain('Choose an account')
    return browser.post('/oauth/authorize', {
      csrf_token: csrfTokenOf(html),
      authorization_request: hiddenField(html, 'authorization_request'),
      action: 'continue',
    })
  }

  it('asks who goes on; the user who does is not asked again', async () => {
    const { browser, path } = await setUpKnown()
    const chosen = await choose(browser, await browser.get(path({ prompt: 'select_account' })))
    expect(chosen.status).toBe(303)
    const sent = await browser.get(chosen.headers.get('location') ?? '')
    expect(codeIn(sent)).toHaveLength(43)
  })

  it('another account signs in, and goes on without the question', async () => {
    const known = await setUpKnown()
    const { browser, path } = known
    const other = await addUser(app.database.db)
    const html = await (await browser.get(path({ prompt: 'select_account' }))).text()
    const href = /href="(\/login[^"]+)"/.exec(html)?.[1]?.replaceAll('&amp;', '&') ?? ''
    const page = await signInAgain(
      browser,
      new Response(null, { status: 303, headers: { location: href } }),
      other.username,
    )
    const sent = await browser.post('/oauth/authorize', {
      ...(await consentFields(page)),
      action: 'approve',
    })
    expect(decodeJwt((await redeem(known, codeIn(sent))).id_token).sub).toBe(other.id)
  })
})

async function consentFields(page: Response) {
  const html = await page.text()
  return {
    csrf_token: csrfTokenOf(html),
    authorization_request: hiddenField(html, 'authorization_request'),
  }
}

describe('login_hint', () => {
  it('fills in the name, escaped, and goes before the one who is signed in', async () => {
    const { path } = await setUp()
    const stranger = openBrowser(app)
    const hint = 'ada"><script>@example.test'
    const asked = await stranger.get(path({ login_hint: hint }))
    const page = await (await stranger.get(asked.headers.get('location') ?? '')).text()
    expect(page).toContain('value="ada&quot;&gt;&lt;script&gt;@example.test"')
  })

  it('is forgotten when it is longer than any name', async () => {
    const { path } = await setUp()
    const stranger = openBrowser(app)
    const asked = await stranger.get(path({ login_hint: 'x'.repeat(257) }))
    const page = await (await stranger.get(asked.headers.get('location') ?? '')).text()
    expect(page).not.toContain('xxx')
  })
})

describe('id_token_hint and the sub claim', () => {
  const subClaim = (sub: string) => JSON.stringify({ id_token: { sub: { value: sub } } })

  it('an ID token of the signed-in user, however old, lets the request through', async () => {
    const known = await setUpKnown()
    const { browser, path } = known
    const { id_token } = await redeem(known, codeIn(await browser.get(path())))
    app.advance(2 * 3_600_000)
    await browser.signIn(known.user.username)
    const more = { prompt: 'none', id_token_hint: id_token }
    expect(codeIn(await browser.get(path(more)))).toHaveLength(43)
    const claims = subClaim(known.user.id)
    expect(codeIn(await browser.get(path({ ...more, claims })))).toHaveLength(43)
  })

  it('another user gets no code: an error silently, a sign-in otherwise, and an error when that is wrong too', async () => {
    const known = await setUpKnown()
    const { path, user } = known
    const { id_token } = await redeem(known, codeIn(await known.browser.get(path())))
    const other = await addUser(app.database.db)
    for (const more of [{ id_token_hint: id_token }, { claims: subClaim(user.id) }]) {
      const browser = openBrowser(app)
      await browser.signIn(other.username)
      await expectSilent(() => browser.get(path({ ...more, prompt: 'none' })), 'login_required')
      const wrong = await signInAgain(browser, await browser.get(path(more)), other.username)
      expect(parametersOf(wrong)['error']).toBe('login_required')
      const right = await signInAgain(browser, await browser.get(path(more)), user.username)
      expect(codeIn(right)).toHaveLength(43)
    }
  })

  it('refuses the ID token of another client, and two that contradict each other', async () => {
    const known = await setUpKnown()
    const { id_token } = await redeem(known, codeIn(await known.browser.get(known.path())))
    const other = await setUp()
    await expectSilent(
      () => other.browser.get(other.path({ id_token_hint: id_token })),
      'invalid_request',
    )
    const more = { id_token_hint: id_token, claims: subClaim(crypto.randomUUID()) }
    await expectSilent(() => known.browser.get(known.path(more)), 'invalid_request')
  })
})

describe('acr and amr', () => {
  it('say how the user signed in; an essential acr that is met lets the request through', async () => {
    const known = await setUpKnown()
    const claims = JSON.stringify({
      id_token: { acr: { essential: true, values: ['loa9', ...acrValues] } },
    })
    const sent = await known.browser.get(known.path({ acr_values: 'loa9', claims }))
    const { id_token } = await redeem(known, codeIn(sent))
    expect(decodeJwt(id_token)).toMatchObject({ acr: acrValues[0], amr: ['pwd'] })
  })
})

describe('the scope of an OpenID Connect request', () => {
  it('loses the words that nobody here understands, and says so', async () => {
    const known = await setUpKnown()
    const sent = await known.browser.get(known.path({ scope: 'openid address phone email' }))
    expect((await redeem(known, codeIn(sent))).scope).toBe('openid email')
  })
})

describe('offline_access', () => {
  it('is ignored for a client that may not have it (OIDC Core §11)', async () => {
    const known = await setUpKnown({ scope: 'openid profile email' })
    const sent = await known.browser.get(known.path({ scope: 'openid offline_access' }))
    const answer = await redeem(known, codeIn(sent))
    expect(answer.scope).toBe('openid')
    expect(answer).not.toHaveProperty('refresh_token')
  })
})

describe('parameters that change nothing', () => {
  it('are accepted: locales, display, acr_values, unknown ones', async () => {
    const { browser, path } = await setUpKnown()
    const more = {
      ui_locales: 'se en',
      claims_locales: 'fr',
      display: 'popup',
      acr_values: '1 2',
      extra: 'foobar',
    }
    expect(codeIn(await browser.get(path(more)))).toHaveLength(43)
  })
})

describe('PKCE', () => {
  const none = { code_challenge: undefined, code_challenge_method: undefined }

  it('is left to confidential clients that use OpenID Connect, and asked of all others', async () => {
    const { browser, path, clientId } = await setUp()
    expect((await browser.get(path())).status).toBe(200)
    await expectSilent(() => browser.get(path({ scope: 'profile' })), 'invalid_request')
    const method = { code_challenge_method: 'S256' }
    await expectSilent(() => browser.get(path(method)), 'invalid_request')
    const publicClient = await addClient(app.database.db)
    const pushing = await addClient(app.database.db, {
      type: 'confidential',
      requirePushedAuthorizationRequests: true,
    })
    for (const { client } of [publicClient, pushing])
      await expectSilent(
        () => browser.get(authorizePath(client.clientId, { scope: 'openid', ...none })),
        'invalid_request',
      )
    expect((await browser.get(authorizePath(clientId, { scope: 'profile' }))).status).toBe(200)
  })

  it('is asked of everybody where the operator wants it so', async () => {
    const strict = await startTestApp({ settings: { PKCE_REQUIRED: 'true' }, replicaOf: app })
    const { path } = await setUp()
    const refused = await openBrowser(strict).get(path())
    expect(parametersOf(refused)['error']).toBe('invalid_request')
    await strict.close()
  })

  it('a code without a challenge is redeemed without a verifier, and never with one', async () => {
    const known = await setUpKnown()
    const sent = await known.browser.get(known.path())
    const wrong = await postToken(app, {
      grant_type: 'authorization_code',
      code: codeIn(sent) ?? '',
      redirect_uri: redirectUri,
      client_id: known.clientId,
      client_secret: known.secret,
      code_verifier: 'v'.repeat(43),
    })
    expect(await wrong.json()).toMatchObject({ error: 'invalid_grant' })
    expect((await redeem(known, codeIn(sent))).scope).toBe('openid profile email')
  })
})

describe('response_mode', () => {
  it('fragment: code and error travel behind the hash', async () => {
    const { browser, path } = await setUpKnown()
    const sent = await browser.get(path({ response_mode: 'fragment' }))
    const location = new URL(sent.headers.get('location') ?? '')
    expect([location.pathname, location.search]).toEqual(['/callback', ''])
    const answer = new URLSearchParams(location.hash.slice(1))
    expect([...answer.keys()].sort()).toEqual(['code', 'iss', 'state'])
    const refused = await openBrowser(app).get(path({ response_mode: 'fragment', prompt: 'none' }))
    expect(refused.headers.get('location')).toMatch(/\/callback#error=login_required&/)
  })

  it('form_post: code and error travel in a form that sends itself, by a script the CSP allows and no other', async () => {
    const { browser, path } = await setUpKnown()
    const code = await browser.get(path({ response_mode: 'form_post', state: '"><script>x' }))
    const error = await openBrowser(app).get(path({ response_mode: 'form_post', prompt: 'none' }))
    for (const [response, name] of [
      [code, 'code'],
      [error, 'error'],
    ] as const) {
      expect([response.status, response.headers.get('location')]).toEqual([200, null])
      expect(response.headers.get('cache-control')).toBe('no-store')
      const html = await response.text()
      expect(html).toContain('<form method="post" action="https://app.example.test/callback"')
      expect(hiddenField(html, name)).not.toBe('')
      expect(hiddenField(html, 'iss')).toBe(app.config.server.baseUrl)
      const [script = '', ...more] = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(
        ([, body]) => body,
      )
      expect(more).toEqual([])
      const hash = createHash('sha256').update(script).digest('base64')
      const csp = response.headers.get('content-security-policy') ?? ''
      expect(csp).toContain(`script-src 'sha256-${hash}';`)
      // Where the client leads on to is its own business, and browsers would hold it to this page's.
      expect(csp).not.toContain('form-action')
      // No CSRF token of ours goes to another site.
      expect(html).not.toContain('csrf_token')
    }
    const page = await browser.get('/account/devices')
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self';")
  })

  it('form_post: the answer to the consent page travels in the same way', async () => {
    const { browser, path } = await setUp()
    const approved = await decide(browser, path({ response_mode: 'form_post' }), 'approve')
    expect(hiddenField(await approved.text(), 'code')).toHaveLength(43)
    const denied = await decide(
      browser,
      path({ response_mode: 'form_post', prompt: 'consent' }),
      'deny',
    )
    expect(hiddenField(await denied.text(), 'error')).toBe('access_denied')
  })

  it('form_post to a private scheme cannot be: it is told so in the query', async () => {
    const redirectUri = 'com.example.app:/callback'
    const { browser, path } = await setUp({ redirectUris: [redirectUri] })
    const refused = await browser.get(
      path({ response_mode: 'form_post', redirect_uri: redirectUri }),
    )
    expect(refused.headers.get('location')).toMatch(
      /^com\.example\.app:\/callback\?error=invalid_request&/,
    )
  })
})

describe('a request by POST, from another site', () => {
  const post = (path: string, by: Pick<TestApp, 'request'> = app) =>
    by.request('/oauth/authorize', {
      method: 'POST',
      body: path.split('?')[1] ?? '',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'cross-site',
        origin: 'https://app.example.test',
      },
    })

  it('is stored, and the browser comes back with its session by GET', async () => {
    const known = await setUpKnown()
    const { result, moved } = await observe(app, () => post(known.path()))
    const location = result.headers.get('location') ?? ''
    expect(result.status).toBe(303)
    expect(location).toMatch(/^\/oauth\/authorize\?authorization_request=[\w-]{43}$/)
    expect(moved).toEqual({})
    const code = codeIn(await known.browser.get(location))
    expect(code).toHaveLength(43)
    const again = await observeUnchanged(app, () => known.browser.get(location))
    expect(codeIn(again.result)).toBe(code)
  })

  it('never shows a page with prompt=none, and is answered once', async () => {
    const { path } = await setUp()
    const location = (await post(path({ prompt: 'none' }))).headers.get('location') ?? ''
    const refused = await openBrowser(app).get(location)
    expect(parametersOf(refused)['error']).toBe('login_required')
    const again = await openBrowser(app).get(location)
    expect(again.headers.get('location')).toBe(refused.headers.get('location'))
  })

  const wrong: [string, More, string, string][] = [
    ['a scope beyond the registered one', { scope: 'profile admin' }, 'invalid_scope', 'client'],
    ['an unknown response_type', { response_type: 'token' }, 'unsupported_response_type', 'client'],
    [
      'a foreign redirect_uri',
      { redirect_uri: 'https://evil.test/' },
      'invalid_redirect_uri',
      'page',
    ],
    ['an unknown client', { client_id: 'unknown' }, 'invalid_client', 'page'],
    ['no client', { client_id: undefined }, 'invalid_request', 'page'],
  ]
  it.each(wrong)(
    'with %s it is answered as a GET is, and nothing stored',
    async (_, more, error, to) => {
      const { path } = await setUp()
      const { result, moved } = await observeUnchanged(app, () =>
        post(path({ code_challenge: 'x'.repeat(43), code_challenge_method: 'S256', ...more })),
      )
      expect(moved).toEqual(errors(error))
      if (to === 'page')
        expect([result.status, result.headers.get('location')]).toEqual([400, null])
      else expect(parametersOf(result)).toMatchObject({ error, state: 'state-1' })
    },
  )

  it('with a repeated parameter or another content type it is refused', async () => {
    const { path } = await setUp()
    const repeated = await observeUnchanged(app, () => post(`${path()}&state=x`))
    expect(parametersOf(repeated.result)['error']).toBe('invalid_request')
    const { result } = await observeUnchanged(app, () =>
      app.request('/oauth/authorize', { method: 'POST', body: path().split('?')[1] ?? '' }),
    )
    expect([result.status, result.headers.get('location')]).toEqual([400, null])
  })
})

describe('the consent page', () => {
  const look = async (client: Partial<NewClient>) => {
    const { browser, path } = await setUp(client)
    const page = await browser.get(path())
    const csp = page.headers.get('content-security-policy') ?? ''
    return { html: await page.text(), images: /img-src ([^;]+);/.exec(csp)?.[1] }
  }

  it('shows a logo from its own origin and links what the client says about itself', async () => {
    const { html, images } = await look({
      logoUri: 'https://app.example.test:8443/logo.png?v=1',
      policyUri: 'https://app.example.test/privacy',
      tosUri: 'https://app.example.test/terms',
    })
    expect(images).toBe("'self' data: https://app.example.test:8443")
    expect(html).toContain('src="https://app.example.test:8443/logo.png?v=1"')
    expect(html).toContain('href="https://app.example.test/privacy"')
    expect(html).toContain('href="https://app.example.test/terms"')
  })

  it.each(['http://app.example.test/logo.png', 'https://elsewhere.example.test/logo.png'])(
    'shows no logo from %j, and allows nothing for it',
    async (logoUri) => {
      const { html, images } = await look({ logoUri })
      expect(images).toBe("'self' data:")
      expect(html).not.toContain('<img')
    },
  )
})

describe('resources', () => {
  it('are shown on the consent page and end up in the token', async () => {
    const api = 'https://api.example.test/v1'
    const known = await setUp({ allowedResources: [api, 'https://other.example.test'] })
    const path = known.path({ resource: api, scope: 'openid' })
    expect(await (await known.browser.get(path)).text()).toContain(api)
    const sent = await decide(known.browser, path, 'approve')
    const { access_token } = await redeem(known, codeIn(sent))
    expect(decodeJwt(access_token).aud).toEqual([api, app.config.server.baseUrl])
    const two = `${path}&resource=${encodeURIComponent('https://other.example.test')}`
    const both = await redeem(known, codeIn(await known.browser.get(two)))
    expect(decodeJwt(both.access_token).aud).toHaveLength(3)
  })
})

describe('dpop_jkt', () => {
  it('binds the code to a key: it is worth nothing without the proof', async () => {
    const known = await setUpKnown()
    const sent = await known.browser.get(known.path({ dpop_jkt: 'j'.repeat(43) }))
    const answer = await redeem(known, codeIn(sent))
    expect(answer).toMatchObject({ error: 'invalid_grant' })
  })
})

describe('claims', () => {
  it('asked for one by one are consented to as the scope that tells them', async () => {
    const { browser, path } = await setUp()
    await decide(browser, path({ scope: 'openid' }), 'approve')
    expect(codeIn(await browser.get(path({ scope: 'openid' })))).toHaveLength(43)
    const claims = JSON.stringify({ userinfo: { email: { essential: true }, unknown: null } })
    const asked = await browser.get(path({ scope: 'openid', claims }))
    expect(await asked.text()).toContain('See your email address')
    await decide(browser, path({ scope: 'openid', claims }), 'approve')
    expect(codeIn(await browser.get(path({ scope: 'openid', claims })))).toHaveLength(43)
  })
})

it('public clients walk the whole way with PKCE as before', async () => {
  const user = await addUser(app.database.db)
  const { client } = await addClient(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  const tokens = await obtainTokens(app, browser, client.clientId)
  expect(decodeJwt(tokens.id_token)).toMatchObject({ sub: user.id, amr: ['pwd'] })
})

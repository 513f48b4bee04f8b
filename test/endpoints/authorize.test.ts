import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cacheChannel } from '#/database/cache-channel.ts'
import { notify } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { authorizePath, obtainTokens, parametersOf, redeemCode } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { observe, observeAllUnchanged, observeUnchanged } from './refusals.ts'

let app: TestApp
let clientId: string
let browser: Browser
beforeAll(async () => {
  app = await startTestApp()
  clientId = (await addClient(app.database.db, { scope: 'openid profile' })).client.clientId
  browser = await signedInBrowser()
})
afterAll(() => app.close())

async function signedInBrowser() {
  const user = await addUser(app.database.db)
  const opened = openBrowser(app)
  await opened.signIn(user.username)
  return opened
}

const path = (more: Record<string, string | undefined> = {}) =>
  authorizePath(clientId, { scope: 'openid', ...more })

const errorSeries = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/authorize",error="${error}"}`]: 1,
})

async function expectPage(get: () => Promise<Response>, error: string) {
  const { result, moved } = await observeUnchanged(app, get)
  expect(result.status).toBe(400)
  expect(result.headers.get('location')).toBeNull()
  expect(result.headers.get('content-type')).toMatch(/^text\/html/)
  expect(result.headers.get('cache-control')).toBe('no-store')
  expect(moved).toEqual(errorSeries(error))
  return result.text()
}

const encoded = encodeURIComponent(redirectUri)

describe('GET /oauth/authorize, before the redirect URI is proven', () => {
  const pages: [string, () => string, string][] = [
    ['no parameters', () => '/oauth/authorize', 'invalid_request'],
    ['no client_id', () => path({ client_id: undefined }), 'invalid_request'],
    ['an empty client_id', () => path({ client_id: '' }), 'invalid_request'],
    ['a repeated client_id', () => `${path()}&client_id=${clientId}`, 'invalid_request'],
    ['an unknown client', () => path({ client_id: crypto.randomUUID() }), 'invalid_client'],
    ['a client_id with a NUL', () => path({ client_id: '\0' }), 'invalid_request'],
    ['a scope with a NUL', () => path({ scope: 'openid\0' }), 'invalid_request'],
    ['a state with a NUL', () => path({ state: 'a\0b' }), 'invalid_request'],
    ['a nonce with a NUL', () => path({ nonce: 'a\0b' }), 'invalid_request'],
    [
      'a redirect_uri with a NUL',
      () => path({ redirect_uri: `${redirectUri}\0` }),
      'invalid_request',
    ],
    ['a parameter nobody knows with a NUL', () => path({ x: '\0' }), 'invalid_request'],
    [
      'a client_id of 10 000 characters',
      () => path({ client_id: 'x'.repeat(1e4) }),
      'invalid_client',
    ],
    ['no redirect_uri', () => path({ redirect_uri: undefined }), 'invalid_request'],
    ['an empty redirect_uri', () => path({ redirect_uri: '' }), 'invalid_request'],
    ['a repeated redirect_uri', () => `${path()}&redirect_uri=${encoded}`, 'invalid_request'],
    [
      'a second redirect_uri, of another site',
      () => `${path()}&redirect_uri=https%3A%2F%2Fevil.test`,
      'invalid_request',
    ],
    [
      'an unknown stored request',
      () => '/oauth/authorize?authorization_request=nothing',
      'invalid_request',
    ],
    [
      'a stored request with a NUL',
      () => '/oauth/authorize?authorization_request=%00',
      'invalid_request',
    ],
  ]
  it.each(pages)('answers %s with a page, never a redirect', async (_, target, error) => {
    await expectPage(() => browser.get(target()), error)
    await expectPage(() => openBrowser(app).get(target()), error)
  })

  const foreign = [
    'https://evil.test/callback',
    'https://app.example.test/callback/',
    'https://app.example.test/callback?next=/',
    'https://app.example.test/callback#fragment',
    'https://app.example.test/Callback',
    'https://APP.example.test/callback',
    'https://app.example.test:443/callback',
    'https://app.example.test:8443/callback',
    'http://app.example.test/callback',
    'https://app.example.test@evil.test/callback',
    'https://user:password@app.example.test/callback',
    'https://app.example.test.evil.test/callback',
    'https://app.example.test/callback/../evil',
    'https://app.example.test/%63allback',
    'https://app.example.test\\@evil.test/callback',
    ' https://app.example.test/callback',
    'https://app.example.test/callback\n',
    '//app.example.test/callback',
    '/callback',
    'javascript:alert(1)',
    'data:text/html,x',
  ]
  it.each(foreign)('answers the redirect URI %j with a page, never a redirect', async (uri) => {
    const html = await expectPage(
      () => browser.get(path({ redirect_uri: uri })),
      'invalid_redirect_uri',
    )
    expect(html).not.toContain('evil.test')
  })

  it('knows no client that is not active, whoever asks', async () => {
    for (const status of ['pending', 'inactive'] as const) {
      const { client } = await addClient(app.database.db, { status })
      await expectPage(() => browser.get(authorizePath(client.clientId)), 'invalid_client')
      await expectPage(() => openBrowser(app).get(authorizePath(client.clientId)), 'invalid_client')
    }
  })

  it('notices a client that was disabled while its user read the consent page', async () => {
    const { client } = await addClient(app.database.db)
    const html = await (await browser.get(authorizePath(client.clientId))).text()
    const now = app.now()
    await setClientStatus(
      app.database.db,
      { clientId: client.clientId, status: 'inactive' },
      { origin: systemOrigin, now },
    )
    app.advance(6000)
    await expectPage(() => answer(browser, html), 'invalid_client')
    const id = hiddenField(html, 'authorization_request')
    await expectPage(
      () => browser.get(`/oauth/authorize?authorization_request=${id}`),
      'invalid_client',
    )
  })
})

describe('a request that waits while its client changes', () => {
  const wide = { scope: 'openid email', resource: 'https://api.example.test/' }
  const changes: [string, Partial<Client>][] = [
    ['the redirect URI', { redirectUris: ['https://app.example.test/other'] }],
    ['a scope', { scope: 'openid' }],
    ['a resource', { allowedResources: [] }],
    ['the grant', { grantTypes: ['refresh_token'] }],
  ]
  it.each(changes)('gets nothing for %s that was taken away', async (_, change) => {
    const { db } = app.database
    const { client } = await addClient(db, {
      scope: wide.scope,
      allowedResources: [wide.resource],
    })
    const { clientId } = client
    const html = await (await browser.get(authorizePath(clientId, wide))).text()
    const waiting = `/oauth/authorize?authorization_request=${hiddenField(html, 'authorization_request')}`
    await db.update(clients).set(change).where(eq(clients.clientId, clientId))
    await db.transaction((tx) => notify(tx, cacheChannel, `client:${clientId}`))
    await expect.poll(async () => (await browser.get(waiting)).status).toBe(400)
    const page = await expectPage(() => answer(browser, html), 'invalid_request')
    expect(page).toContain('The application has been changed')
    await expectPage(() => browser.get(waiting), 'invalid_request')
  })
})

const answer = (by: Browser, html: string, more: Record<string, string> = {}) =>
  by.post('/oauth/authorize', {
    csrf_token: csrfTokenOf(html),
    authorization_request: hiddenField(html, 'authorization_request'),
    action: 'approve',
    ...more,
  })

describe('GET /oauth/authorize, once the redirect URI is proven', () => {
  const long = 'x'.repeat(1025)
  const refused: [string, () => string, string][] = [
    ['no response_type', () => path({ response_type: undefined }), 'invalid_request'],
    ['an empty response_type', () => path({ response_type: '' }), 'invalid_request'],
    ['response_type token', () => path({ response_type: 'token' }), 'unsupported_response_type'],
    [
      'response_type "code id_token"',
      () => path({ response_type: 'code id_token' }),
      'unsupported_response_type',
    ],
    ['response_type CODE', () => path({ response_type: 'CODE' }), 'unsupported_response_type'],
    ['a repeated response_type', () => `${path()}&response_type=code`, 'invalid_request'],
    ['a repeated scope', () => `${path()}&scope=openid`, 'invalid_request'],
    ['a repeated state', () => `${path()}&state=state-1`, 'invalid_request'],
    ['a repeated unknown parameter', () => `${path()}&x=1&x=2`, 'invalid_request'],
    ['a scope with a quote', () => path({ scope: 'openid "' }), 'invalid_scope'],
    ['a scope with a line break', () => path({ scope: 'openid\nemail' }), 'invalid_scope'],
    ['a scope of nothing but spaces', () => path({ scope: '  ' }), 'invalid_scope'],
    ['a scope beyond the registered one', () => path({ scope: 'openid email' }), 'invalid_scope'],
    ['an unknown scope without openid', () => path({ scope: 'admin' }), 'invalid_scope'],
    ['a scope in upper case', () => path({ scope: 'OPENID' }), 'invalid_scope'],
    ['no code_challenge', () => path({ code_challenge: undefined }), 'invalid_request'],
    [
      'no PKCE at all',
      () => path({ code_challenge: undefined, code_challenge_method: undefined }),
      'invalid_request',
    ],
    [
      'no code_challenge_method, which means plain',
      () => path({ code_challenge_method: undefined }),
      'invalid_request',
    ],
    [
      'the code_challenge_method plain',
      () => path({ code_challenge_method: 'plain' }),
      'invalid_request',
    ],
    [
      'the code_challenge_method s256',
      () => path({ code_challenge_method: 's256' }),
      'invalid_request',
    ],
    ['a short code_challenge', () => path({ code_challenge: 'x'.repeat(42) }), 'invalid_request'],
    ['a long code_challenge', () => path({ code_challenge: 'x'.repeat(44) }), 'invalid_request'],
    [
      'a padded code_challenge',
      () => path({ code_challenge: `${'x'.repeat(42)}=` }),
      'invalid_request',
    ],
    [
      'a repeated code_challenge',
      () => `${path()}&code_challenge=${'x'.repeat(43)}`,
      'invalid_request',
    ],
    ['a state of 1025 characters', () => path({ state: long }), 'invalid_request'],
    ['a nonce of 1025 characters', () => path({ nonce: long }), 'invalid_request'],
    ['an unknown response_mode', () => path({ response_mode: 'web_message' }), 'invalid_request'],
    [
      'a repeated response_mode',
      () => `${path()}&response_mode=query`.replace('?', '?response_mode=query&'),
      'invalid_request',
    ],
    ['an unknown prompt', () => path({ prompt: 'create' }), 'invalid_request'],
    ['the prompt none beside another', () => path({ prompt: 'none login' }), 'invalid_request'],
    ['a repeated prompt', () => `${path()}&prompt=login&prompt=login`, 'invalid_request'],
    ['a negative max_age', () => path({ max_age: '-1' }), 'invalid_request'],
    ['a max_age that is no number', () => path({ max_age: '1h' }), 'invalid_request'],
    ['a max_age of ten digits', () => path({ max_age: '1234567890' }), 'invalid_request'],
    [
      'an id_token_hint that is no token',
      () => path({ id_token_hint: 'a.b.c' }),
      'invalid_request',
    ],
    ['claims that are no JSON', () => path({ claims: '{' }), 'invalid_request'],
    ...[String.raw`\u0000`, String.raw`\ud800`].flatMap((text): typeof refused => [
      [
        `claims with the value ${text}`,
        () => path({ claims: `{"id_token":{"acr":{"value":"${text}"}}}` }),
        'invalid_request',
      ],
      [
        `claims with a member ${text}`,
        () => path({ claims: `{"userinfo":{"email":{"values":[{"${text}":1}]}}}` }),
        'invalid_request',
      ],
    ]),
    ['claims that are a list', () => path({ claims: '[]' }), 'invalid_request'],
    [
      'claims with a word for a member',
      () => path({ claims: '{"userinfo":"email"}' }),
      'invalid_request',
    ],
    [
      'claims with a word for a request',
      () => path({ claims: '{"id_token":{"email":"yes"}}' }),
      'invalid_request',
    ],
    [
      'claims with essential as text',
      () => path({ claims: '{"id_token":{"email":{"essential":"true"}}}' }),
      'invalid_request',
    ],
    [
      'claims of 4097 characters',
      () => path({ claims: `{"x":"${'x'.repeat(4089)}"}` }),
      'invalid_request',
    ],
    [
      'an essential acr that nobody here can meet',
      () => path({ claims: '{"id_token":{"acr":{"essential":true,"values":["loa9"]}}}' }),
      'unmet_authentication_requirements',
    ],
    ['a registration of its own', () => path({ registration: '{}' }), 'registration_not_supported'],
    [
      'a resource that it is not allowed',
      () => path({ resource: 'https://api.example.test' }),
      'invalid_target',
    ],
    ['a resource that is no URI', () => path({ resource: 'api' }), 'invalid_target'],
    [
      'a resource with a fragment',
      () => path({ resource: 'https://api.example.test/#x' }),
      'invalid_target',
    ],
    ['a malformed dpop_jkt', () => path({ dpop_jkt: 'x'.repeat(42) }), 'invalid_request'],
  ]
  it.each(refused)(
    'sends %s back to the client with error, state and issuer',
    async (_, target, error) => {
      for (const by of [browser, openBrowser(app)]) {
        const { result, moved } = await observeUnchanged(app, () => by.get(target()))
        expect(result.status).toBe(302)
        const location = new URL(result.headers.get('location') ?? '')
        expect(location.origin + location.pathname).toBe(redirectUri)
        const state = new URL(target(), 'http://x').searchParams.get('state')
        expect(parametersOf(result)).toEqual({
          error,
          error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5B\x5D-\x7E]{1,100}$/),
          state,
          iss: app.config.server.baseUrl,
        })
        expect(result.headers.get('cache-control')).toBe('no-store')
        expect(moved).toEqual(errorSeries(error))
      }
    },
  )

  it('leaves state out of the answer when there was none', async () => {
    const response = await browser.get(path({ state: undefined, response_type: 'token' }))
    expect(Object.keys(parametersOf(response)).sort()).toEqual([
      'error',
      'error_description',
      'iss',
    ])
  })

  it('refuses a client that is not registered for the code grant', async () => {
    const { client } = await addClient(app.database.db, { grantTypes: ['refresh_token'] })
    const { result, moved } = await observeUnchanged(app, () =>
      browser.get(authorizePath(client.clientId)),
    )
    expect(parametersOf(result)).toMatchObject({ error: 'unauthorized_client', state: 'state-1' })
    expect(moved).toEqual(errorSeries('unauthorized_client'))
  })

  it('keeps the query of a registered redirect URI when it adds an error', async () => {
    const uri = 'https://app.example.test/callback?tenant=1'
    const { client } = await addClient(app.database.db, { redirectUris: [uri] })
    const response = await browser.get(
      authorizePath(client.clientId, { redirect_uri: uri, response_type: 'token' }),
    )
    expect(response.headers.get('location')).toMatch(/\/callback\?tenant=1&error=unsupported/)
  })

  it('takes state and nonce of 1024 characters and unknown parameters', async () => {
    const state = 'x'.repeat(1024)
    const response = await browser.get(`${path({ state, nonce: state })}&prompted_by=test`)
    expect(response.status).toBe(200)
  })
})

describe('redirect URIs on the loopback interface', () => {
  const registered = ['http://127.0.0.1/callback', 'http://[::1]:3000/callback']
  const redirects = async (redirect_uri: string) => {
    const { client } = await addClient(app.database.db, { redirectUris: registered })
    const { result, moved } = await observe(app, () =>
      browser.get(authorizePath(client.clientId, { redirect_uri })),
    )
    return { status: result.status, location: result.headers.get('location'), moved }
  }

  it.each([
    'http://127.0.0.1/callback',
    'http://127.0.0.1:80/callback',
    'http://127.0.0.1:4711/callback',
    'http://127.0.0.1:65535/callback',
    'http://[::1]/callback',
    'http://[::1]:4711/callback',
  ])('takes %s: any port, as the app was given one', async (uri) => {
    expect(await redirects(uri)).toEqual({ status: 200, location: null, moved: {} })
  })

  it.each([
    'http://127.0.0.1:80@evil.test',
    'http://127.0.0.1:80@evil.test/callback',
    'http://127.0.0.1@evil.test/callback',
    'http://127.0.0.1:4711.evil.test/callback',
    'http://127.0.0.1.evil.test/callback',
    'http://127.0.0.1:4711\\@evil.test/callback',
    'http://127.0.0.1:4711/callback#x',
    'http://127.0.0.1:4711/callback/',
    'http://127.0.0.1:4711/callback?x=1',
    'http://127.0.0.1:4711//callback',
    'http://127.0.0.1:/callback',
    'http://127.0.0.1:x/callback',
    'http://127.0.0.1:-1/callback',
    'http://127.0.0.1:99999/callback',
    'http://127.0.0.1:65536/callback',
    'http://127.0.0.1:000000/callback',
    'https://127.0.0.1:4711/callback',
    'http://127.1/callback',
    'http://2130706433/callback',
    'http://localhost:4711/callback',
    'http://[::1]:3000@evil.test/callback',
    'http://[::ffff:127.0.0.1]/callback',
    'http://0.0.0.0/callback',
  ])('refuses %s with a page', async (uri) => {
    expect(await redirects(uri)).toEqual({
      status: 400,
      location: null,
      moved: errorSeries('invalid_redirect_uri'),
    })
  })
})

describe('a stored request', () => {
  it('expires after ten minutes, for the page and for its answer', async () => {
    const by = await signedInBrowser()
    const html = await (await by.get(path())).text()
    const id = hiddenField(html, 'authorization_request')
    app.advance(10 * 60_000 - 1000)
    expect((await by.get(`/oauth/authorize?authorization_request=${id}`)).status).toBe(200)
    app.advance(1001)
    await expectPage(
      () => by.get(`/oauth/authorize?authorization_request=${id}`),
      'invalid_request',
    )
    await expectPage(() => answer(by, html), 'invalid_request')
    await expectPage(() => answer(by, html, { action: 'deny' }), 'invalid_request')
  })

  const opposite = { approve: 'deny', deny: 'approve' } as const
  it.each(['approve', 'deny'] as const)(
    'is used up by %s; the same again, and a look back, get the same answer for a minute and change nothing',
    async (action) => {
      const by = await signedInBrowser()
      const html = await (await by.get(path())).text()
      const first = await answer(by, html, { action })
      expect(first.status).toBe(302)
      const id = hiddenField(html, 'authorization_request')
      for (const again of [
        () => answer(by, html, { action }),
        () => by.get(`/oauth/authorize?authorization_request=${id}`),
      ]) {
        const { result, moved } = await observeUnchanged(app, again)
        expect([result.status, result.headers.get('location'), moved]).toEqual([
          302,
          first.headers.get('location'),
          {},
        ])
      }
      await expectPage(() => answer(by, html, { action: opposite[action] }), 'invalid_request')
      app.advance(60_000)
      await expectPage(() => answer(by, html, { action }), 'invalid_request')
    },
  )

  it('gives its answer again to the session that gave it alone, and no code that was redeemed', async () => {
    const by = await signedInBrowser()
    const html = await (await by.get(path())).text()
    const { code = '' } = parametersOf(await answer(by, html))
    const id = hiddenField(html, 'authorization_request')
    const other = await signedInBrowser()
    await expectPage(
      () => other.get(`/oauth/authorize?authorization_request=${id}`),
      'invalid_request',
    )
    const redeemed = await redeemCode(app, clientId, code)
    expect(redeemed.status).toBe(200)
    const { access_token } = (await redeemed.json()) as { access_token: string }
    await expectPage(() => answer(by, html), 'invalid_request')
    const asked = await app.request('/oauth/userinfo', {
      headers: { authorization: `Bearer ${access_token}` },
    })
    expect(asked.status).toBe(200)
  })
})

describe('POST /oauth/authorize', () => {
  it('leads a browser that is not signed in back to the stored request, and only there', async () => {
    const html = await (await browser.get(path())).text()
    const id = hiddenField(html, 'authorization_request')
    const { result, moved } = await observeUnchanged(app, () => answer(openBrowser(app), html))
    const location = `/oauth/authorize?authorization_request=${id}`
    expect([result.status, result.headers.get('location')]).toEqual([303, location])
    expect(moved).toEqual({})
  })

  const forged: [string, (html: string, other: string) => Record<string, string>][] = [
    ['no CSRF token', () => ({ csrf_token: '' })],
    ['a made-up CSRF token', () => ({ csrf_token: 'x'.repeat(43) })],
    ["another user's CSRF token", (_, other) => ({ csrf_token: csrfTokenOf(other) })],
    ['a CSRF token and a tail', (html) => ({ csrf_token: `${csrfTokenOf(html)}x` })],
  ]
  it.each(forged)('asks again after %s and saves nothing', async (_, fields) => {
    const html = await (await browser.get(path())).text()
    const foreign = await (await (await signedInBrowser()).get(path())).text()
    const { result, moved } = await observeUnchanged(app, () =>
      answer(browser, html, fields(html, foreign)),
    )
    const id = hiddenField(html, 'authorization_request')
    const location = `/oauth/authorize?authorization_request=${id}&notice=outdated`
    expect([result.status, result.headers.get('location')]).toEqual([303, location])
    expect(moved).toEqual({})
    expect(await (await browser.get(location)).text()).toContain('this page had expired')
  })

  it('refuses what a browser says was sent by another site, valid token or not', async () => {
    const html = await (await browser.get(path())).text()
    const body = new URLSearchParams({
      csrf_token: csrfTokenOf(html),
      authorization_request: hiddenField(html, 'authorization_request'),
      action: 'approve',
    })
    const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const { result } = await observeUnchanged(app, () =>
      app.request('/oauth/authorize', {
        method: 'POST',
        body: body.toString(),
        headers: {
          cookie,
          'content-type': 'application/x-www-form-urlencoded',
          'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
          'sec-fetch-site': 'cross-site',
        },
      }),
    )
    expect(result.status).toBe(403)
  })

  const wrong: [string, Record<string, string>][] = [
    ['no action', { action: '' }],
    ['an unknown action', { action: 'maybe' }],
    ['no stored request', { authorization_request: '' }],
    ['an unknown stored request', { authorization_request: 'x'.repeat(43) }],
    ['a stored request with a NUL', { authorization_request: '\0' }],
  ]
  it.each(wrong)('answers %s with a page and saves nothing', async (_, fields) => {
    const html = await (await browser.get(path())).text()
    await expectPage(() => answer(browser, html, fields), 'invalid_request')
  })

  it('takes nothing but what was stored: other fields of the form change no scope and no address', async () => {
    const html = await (await browser.get(path())).text()
    const response = await answer(browser, html, {
      redirect_uri: 'https://evil.test/',
      scope: 'openid profile email',
      client_id: 'x',
      state: 'forged',
    })
    expect(response.headers.get('location')).toMatch(/^https:\/\/app\.example\.test\/callback\?/)
    expect(parametersOf(response)['state']).toBe('state-1')
    const [code] = (await app.database.db.query.authorizationCodes.findMany()).slice(-1)
    expect(code?.scope).toBe('openid')
  })

  it('refuses a body of another type', async () => {
    const { result, moved } = await observeUnchanged(app, () =>
      app.request('/oauth/authorize', {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' },
      }),
    )
    expect([result.status, result.headers.get('location')]).toEqual([400, null])
    expect(moved).toEqual(errorSeries('invalid_request'))
  })

  it('answers HEAD with 405, as whatever else begins or ends something: who only looks gets no code', async () => {
    const { client } = await addClient(app.database.db)
    await obtainTokens(app, browser, client.clientId)
    const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const addresses = [
      authorizePath(client.clientId),
      '/oauth/logout',
      '/auth/login/github',
      '/auth/callback/github',
    ]
    const { result, moved } = await observeAllUnchanged(app, addresses, async (address) => {
      const { status, headers } = await app.request(address, {
        method: 'HEAD',
        headers: { cookie },
      })
      return [status, headers.get('allow'), headers.get('location')]
    })
    expect(result).toEqual([
      [405, 'GET, POST', null],
      [405, 'GET, POST', null],
      [405, 'GET', null],
      [405, 'GET', null],
    ])
    expect(moved).toEqual({})
  })

  it.each(['PUT', 'DELETE', 'PATCH'])('answers %s with 405 and Allow', async (method) => {
    const { result } = await observeUnchanged(app, () =>
      app.request('/oauth/authorize', { method }),
    )
    expect([result.status, result.headers.get('allow')]).toEqual([405, 'GET, POST'])
  })
})

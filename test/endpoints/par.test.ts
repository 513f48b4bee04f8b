/** Pushed authorization requests (RFC 9126): what a client brings itself, and the browser that comes with the reference. */
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewClient } from '#/domain/clients/clients.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { basicAuth, redirectUri } from '../support/client.ts'
import { authorizePath, decide, parametersOf, postToken, verifier } from '../support/flow.ts'
import { addClient, addUser, testPassword } from '../support/people.ts'
import { createKey, keySetOf, signAssertion, signDpopProof } from '../support/proofs.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ settings: { DPOP_REQUIRE_NONCE: 'false' } })
})
afterAll(() => app.close())

type Fields = Record<string, string | undefined>

async function setUp(more: Partial<NewClient> = {}) {
  const user = await addUser(app.database.db)
  const { client, secret = '' } = await addClient(app.database.db, {
    type: 'confidential',
    requirePushedAuthorizationRequests: true,
    ...more,
  })
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  return { user, browser, clientId: client.clientId, secret }
}
type SetUp = Awaited<ReturnType<typeof setUp>>

const fieldsOf = ({ clientId, secret }: Pick<SetUp, 'clientId' | 'secret'>, more: Fields = {}) => {
  const fields: Fields = {
    client_id: clientId,
    client_secret: secret,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid profile',
    state: 'state-1',
    nonce: 'nonce-1',
    code_challenge: sha256(verifier),
    code_challenge_method: 'S256',
    ...more,
  }
  const given = Object.entries(fields).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  return new URLSearchParams(given)
}

const post = (body: URLSearchParams | string, headers: Record<string, string> = {}, by = app) =>
  by.request('/oauth/par', {
    method: 'POST',
    body: body.toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })

async function push(by: SetUp, more: Fields = {}, headers: Record<string, string> = {}) {
  const answer = await post(fieldsOf(by, more), headers)
  return (await answer.json()) as { request_uri: string; expires_in: number }
}

const pathTo = (clientId: string, requestUri: string, more: Record<string, string> = {}) =>
  `/oauth/authorize?${new URLSearchParams({ client_id: clientId, request_uri: requestUri, ...more })}`

const redeem = ({ clientId, secret }: SetUp, code: string | undefined, headers = {}) =>
  postToken(
    app,
    {
      grant_type: 'authorization_code',
      code: code ?? '',
      redirect_uri: redirectUri,
      client_id: clientId,
      client_secret: secret,
      code_verifier: verifier,
    },
    headers,
  )

const errors = (endpoint: string, error: string) => ({
  [`authgate_oauth_errors_total{endpoint="${endpoint}",error="${error}"}`]: 1,
})
const authenticated = (method: string, result: string) => ({
  [`authgate_client_authentications_total{method="${method}",result="${result}"}`]: 1,
})
const pushed = (event: string) => ({
  [`authgate_authorization_requests_pushed_total{event="${event}"}`]: 1,
})

async function expectPage(get: () => Promise<Response>, error = 'invalid_request_uri') {
  const { result, moved } = await observeUnchanged(app, get)
  expect([result.status, result.headers.get('location')]).toEqual([400, null])
  expect(result.headers.get('content-type')).toMatch(/^text\/html/)
  expect(moved).toEqual(errors('/oauth/authorize', error))
}

describe('POST /oauth/par', () => {
  it('answers 201 with a reference, which leads a browser to the consent page and on to tokens', async () => {
    const by = await setUp()
    const pushing = await observe(app, () => post(fieldsOf(by)))
    expect(pushing.result.status).toBe(201)
    expect(pushing.result.headers.get('cache-control')).toBe('no-store')
    expect(pushing.moved).toEqual({
      ...authenticated('client_secret_post', 'success'),
      ...pushed('pushed'),
    })
    const answer = (await pushing.result.json()) as { request_uri: string; expires_in: number }
    expect(answer).toEqual({
      request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:[\w-]{43}$/),
      expires_in: 90,
    })
    const path = pathTo(by.clientId, answer.request_uri)
    const { result: page, moved } = await observe(app, () => by.browser.get(path))
    expect([page.status, moved]).toEqual([200, pushed('visited')])
    const sent = await decide(by.browser, path, 'approve')
    expect(parametersOf(sent)).toMatchObject({ state: 'state-1', iss: app.config.server.baseUrl })
    const tokens = (await (await redeem(by, parametersOf(sent)['code'])).json()) as {
      id_token: string
    }
    expect(decodeJwt(tokens.id_token)).toMatchObject({ sub: by.user.id, nonce: 'nonce-1' })
  })

  it('authenticates by every method of a client, and takes the client from it where client_id is left out', async () => {
    const by = await setUp()
    const basic = basicAuth(by.clientId, by.secret)
    const none = { client_id: undefined, client_secret: undefined }
    expect((await post(fieldsOf(by, none), basic)).status).toBe(201)
    const key = await createKey()
    const signing = await setUp({
      tokenEndpointAuthMethod: 'private_key_jwt',
      jwks: keySetOf(key),
    })
    const assertion = await signAssertion(key, {
      clientId: signing.clientId,
      audience: app.config.server.baseUrl,
      now: app.now(),
    })
    const proof = {
      ...none,
      client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    }
    expect((await post(fieldsOf(signing, proof))).status).toBe(201)
    expect((await post(fieldsOf(signing, proof))).status).toBe(401)
    const { client } = await addClient(app.database.db)
    const publicFields = fieldsOf(
      { clientId: client.clientId, secret: '' },
      { client_secret: undefined },
    )
    expect((await post(publicFields)).status).toBe(201)
  })

  it('stores no credential with the request', async () => {
    const by = await setUp()
    const { request_uri } = await push(by)
    const id = request_uri.split(':').at(-1) ?? ''
    const rows = await app.database.db.query.authorizationRequests.findMany()
    const row = JSON.stringify(rows.find((stored) => stored.id === id))
    expect(row).toContain('state-1')
    expect(row).not.toContain(by.secret)
  })

  const wrong: [string, Fields, number, string][] = [
    ['no response_type', { response_type: undefined }, 400, 'invalid_request'],
    ['response_type token', { response_type: 'token' }, 400, 'unsupported_response_type'],
    [
      'response_type "code id_token"',
      { response_type: 'code id_token' },
      400,
      'unsupported_response_type',
    ],
    ['no redirect_uri', { redirect_uri: undefined }, 400, 'invalid_request'],
    [
      'a redirect_uri that is not registered',
      { redirect_uri: `${redirectUri}/x` },
      400,
      'invalid_request',
    ],
    ['no code_challenge', { code_challenge: undefined }, 400, 'invalid_request'],
    [
      'no PKCE at all',
      { code_challenge: undefined, code_challenge_method: undefined },
      400,
      'invalid_request',
    ],
    ['the code_challenge_method plain', { code_challenge_method: 'plain' }, 400, 'invalid_request'],
    [
      'a request_uri',
      { request_uri: 'urn:ietf:params:oauth:request_uri:x' },
      400,
      'invalid_request',
    ],
    [
      'a request_uri of the web',
      { request_uri: 'https://app.example.test/r' },
      400,
      'invalid_request',
    ],
    ['an empty request_uri', { request_uri: '' }, 400, 'invalid_request'],
    ['a scope beyond the registered one', { scope: 'profile admin' }, 400, 'invalid_scope'],
    ['a resource it is not allowed', { resource: 'https://api.test' }, 400, 'invalid_target'],
    ['a request object that is none', { request: 'a.b.c' }, 400, 'invalid_request_object'],
    ['a registration of its own', { registration: '{}' }, 400, 'registration_not_supported'],
    [
      'an acr that nobody can meet',
      { claims: '{"id_token":{"acr":{"essential":true,"value":"x"}}}' },
      400,
      'unmet_authentication_requirements',
    ],
    ['a state of 1025 characters', { state: 'x'.repeat(1025) }, 400, 'invalid_request'],
    ['a state with a NUL', { state: 'a\0b' }, 400, 'invalid_request'],
    [
      'claims with half a character',
      { claims: String.raw`{"id_token":{"acr":{"value":"\ud800"}}}` },
      400,
      'invalid_request',
    ],
    ['an unknown prompt', { prompt: 'x' }, 400, 'invalid_request'],
    ['a malformed dpop_jkt', { dpop_jkt: 'x' }, 400, 'invalid_request'],
    ['a wrong secret', { client_secret: 'x' }, 401, 'invalid_client'],
    ['no secret', { client_secret: undefined }, 401, 'invalid_client'],
    ['an unknown client', { client_id: 'x' }, 401, 'invalid_client'],
    ['no client', { client_id: undefined }, 400, 'invalid_request'],
  ]
  it.each(wrong)('answers %s in JSON and stores nothing', async (_, more, status, error) => {
    const by = await setUp()
    const { result, moved } = await observeUnchanged(app, () => post(fieldsOf(by, more)))
    expect([result.status, result.headers.get('location')]).toEqual([status, null])
    expect(result.headers.get('cache-control')).toBe('no-store')
    expect(await result.json()).toEqual({
      error,
      error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5B\x5D-\x7E]{1,100}$/),
    })
    expect(moved).toMatchObject(errors('/oauth/par', error))
    expect(result.headers.get('www-authenticate')).toBe(
      status === 401 ? 'Basic realm="authgate", charset="UTF-8"' : null,
    )
  })

  it('refuses repeated parameters, both authentication methods, other bodies and other methods', async () => {
    const by = await setUp()
    const basic = basicAuth(by.clientId, by.secret)
    const steps: [() => Promise<Response>, number, string][] = [
      [() => post(`${fieldsOf(by)}&state=x`), 400, 'invalid_request'],
      [
        () => post(`${fieldsOf(by)}&redirect_uri=${encodeURIComponent(redirectUri)}`),
        400,
        'invalid_request',
      ],
      [() => post(fieldsOf(by), basic), 400, 'invalid_request'],
      [() => post('{}', { 'content-type': 'application/json' }), 400, 'invalid_request'],
      [() => post(fieldsOf(by), { 'content-type': 'text/plain' }), 400, 'invalid_request'],
      [() => post(fieldsOf(by, { claims: 'x'.repeat(70_000) })), 413, 'invalid_request'],
    ]
    for (const [step, status, error] of steps) {
      const { result } = await observeUnchanged(app, step)
      expect([result.status, await result.json()]).toMatchObject([status, { error }])
    }
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const { result } = await observeUnchanged(app, () => app.request('/oauth/par', { method }))
      expect([result.status, result.headers.get('allow')]).toEqual([405, 'POST'])
    }
  })

  it('refuses a client that may not use the code grant', async () => {
    const by = await setUp({ grantTypes: ['client_credentials'] })
    const { result } = await observeUnchanged(app, () => post(fieldsOf(by)))
    expect([result.status, await result.json()]).toMatchObject([
      400,
      { error: 'unauthorized_client' },
    ])
  })
})

describe('a request_uri at the authorization endpoint', () => {
  it('stands for the whole request: everything beside it but the client is ignored', async () => {
    const by = await setUp()
    const { request_uri } = await push(by)
    const more = {
      scope: 'openid email',
      state: 'forged',
      redirect_uri: 'https://evil.test/',
      prompt: 'none',
    }
    const sent = await decide(by.browser, pathTo(by.clientId, request_uri, more), 'approve')
    expect(sent.headers.get('location')).toMatch(new RegExp(`^${redirectUri}\\?`))
    expect(parametersOf(sent)['state']).toBe('state-1')
  })

  it('survives a page that is loaded again and a sign-in, and is used up with the code', async () => {
    const by = await setUp()
    const { request_uri } = await push(by)
    const path = pathTo(by.clientId, request_uri)
    const visitor = openBrowser(app)
    const first = await visitor.get(path)
    const second = await observe(app, () => visitor.get(path))
    expect([first.status, second.result.status, second.moved]).toEqual([303, 303, {}])
    const login = new URL(second.result.headers.get('location') ?? '', 'http://self')
    const redirect = login.searchParams.get('redirect') ?? ''
    await visitor.submit(login.pathname + login.search, '/login', {
      username: by.user.username,
      password: testPassword,
      redirect,
    })
    expect(parametersOf(await decide(visitor, redirect, 'approve'))['code']).toHaveLength(43)
    await expectPage(() => visitor.get(path))
    app.advance(60_000)
    await expectPage(() => visitor.get(redirect), 'invalid_request')
  })

  it('is used up by a refusal, and by an answer that nobody was asked for', async () => {
    const by = await setUp()
    const denied = pathTo(by.clientId, (await push(by)).request_uri)
    expect(parametersOf(await decide(by.browser, denied, 'deny'))['error']).toBe('access_denied')
    await expectPage(() => by.browser.get(denied))
    const silent = pathTo(by.clientId, (await push(by, { prompt: 'none' })).request_uri)
    expect(parametersOf(await openBrowser(app).get(silent))['error']).toBe('login_required')
    await expectPage(() => openBrowser(app).get(silent))
  })

  it('gives one of several parallel visits the code', async () => {
    const by = await setUp()
    await decide(by.browser, pathTo(by.clientId, (await push(by)).request_uri), 'approve')
    const path = pathTo(by.clientId, (await push(by)).request_uri)
    const answers = await Promise.all([1, 2, 3, 4].map(() => by.browser.get(path)))
    expect(answers.map(({ status }) => status).sort()).toEqual([302, 400, 400, 400])
  })

  it('is good for the client alone that pushed', async () => {
    const by = await setUp()
    const other = await setUp()
    const { request_uri } = await push(by)
    await expectPage(() => by.browser.get(pathTo(other.clientId, request_uri)))
    // That was no visit: the reference still lives.
    expect((await by.browser.get(pathTo(by.clientId, request_uri))).status).toBe(200)
    await expectPage(() => by.browser.get(pathTo(other.clientId, request_uri)))
  })

  it('waits for its first visit for 90 seconds, and after that for ten minutes', async () => {
    const by = await setUp()
    const late = pathTo(by.clientId, (await push(by)).request_uri)
    app.advance(90_001)
    await expectPage(() => by.browser.get(late))
    const inTime = pathTo(by.clientId, (await push(by)).request_uri)
    app.advance(89_000)
    expect((await by.browser.get(inTime)).status).toBe(200)
    app.advance(10 * 60_000 - 1000)
    expect((await by.browser.get(inTime)).status).toBe(200)
    app.advance(1001)
    await expectPage(() => by.browser.get(inTime))
  })

  it('is no stored request before its visit, and no other text is one', async () => {
    const by = await setUp()
    const { request_uri } = await push(by)
    const id = request_uri.split(':').at(-1) ?? ''
    await expectPage(
      () => by.browser.get(`/oauth/authorize?authorization_request=${id}`),
      'invalid_request',
    )
    for (const uri of [`${request_uri}x`, 'urn:ietf:params:oauth:request_uri:'])
      await expectPage(() => by.browser.get(pathTo(by.clientId, uri)))
    const alone = `/oauth/authorize?request_uri=${encodeURIComponent(request_uri)}`
    await expectPage(() => by.browser.get(alone), 'invalid_request')
    await expectPage(() => by.browser.get(pathTo('unknown', request_uri)), 'invalid_client')
  })

  it('comes by POST, too', async () => {
    const by = await setUp()
    const { request_uri } = await push(by)
    const answer = await app.request('/oauth/authorize', {
      method: 'POST',
      body: new URLSearchParams({ client_id: by.clientId, request_uri }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    const location = answer.headers.get('location') ?? ''
    expect(answer.status).toBe(303)
    expect((await by.browser.get(location)).status).toBe(200)
  })

  it('counts a sign-in as fresh from the visit on, not from the push', async () => {
    const by = await setUp()
    const { request_uri } = await push(by, { prompt: 'login' })
    app.advance(5000)
    const browser = openBrowser(app)
    await browser.signIn(by.user.username)
    app.advance(5000)
    const asked = await browser.get(pathTo(by.clientId, request_uri))
    expect(asked.headers.get('location')).toMatch(/^\/login\?.*again=1/)
  })
})

describe('a client that has to push', () => {
  it('is refused every other request, by redirect', async () => {
    const { browser, clientId } = await setUp()
    const { result, moved } = await observeUnchanged(app, () =>
      browser.get(authorizePath(clientId, { scope: 'openid' })),
    )
    expect(parametersOf(result)).toMatchObject({ error: 'invalid_request', state: 'state-1' })
    expect(moved).toEqual(errors('/oauth/authorize', 'invalid_request'))
  })

  it('is every client where the operator wants it so', async () => {
    const settings = {
      REQUIRE_PUSHED_AUTHORIZATION_REQUESTS: 'true',
      PUSHED_REQUEST_EXPIRATION: '5m',
    }
    const strict = await startTestApp({ settings, replicaOf: app })
    const by = await setUp({ requirePushedAuthorizationRequests: false })
    expect((await by.browser.get(authorizePath(by.clientId, { scope: 'openid' }))).status).toBe(200)
    const refused = await openBrowser(strict).get(authorizePath(by.clientId, { scope: 'openid' }))
    expect(parametersOf(refused)['error']).toBe('invalid_request')
    const unchallenged = { code_challenge: undefined, code_challenge_method: undefined }
    expect((await post(fieldsOf(by, unchallenged), {}, strict)).status).toBe(400)
    const accepted = await post(fieldsOf(by), {}, strict)
    expect(await accepted.json()).toMatchObject({ expires_in: 300 })
    const metadata = await strict.request('/.well-known/openid-configuration')
    expect(await metadata.json()).toMatchObject({
      require_pushed_authorization_requests: true,
      pushed_authorization_request_endpoint: `${strict.config.server.baseUrl}/oauth/par`,
    })
    await strict.close()
  })
})

describe('DPoP at the pushed request (RFC 9449 §10.1)', () => {
  const address = (path: string) => `${app.config.server.baseUrl}${path}`
  const codeOf = async (browser: Browser, path: string) => {
    const html = await (await browser.get(path)).text()
    const sent = await browser.post('/oauth/authorize', {
      csrf_token: csrfTokenOf(html),
      authorization_request: hiddenField(html, 'authorization_request'),
      action: 'approve',
    })
    return parametersOf(sent)['code']
  }

  it.each(['the proof', 'dpop_jkt', 'both'])(
    'binds the code to the key that %s names',
    async (how) => {
      const by = await setUp()
      const [key, other] = [await createKey(), await createKey()]
      const proof = (signer: typeof key, path: string) =>
        signDpopProof(signer, { htm: 'POST', htu: address(path), now: app.now() })
      const fields = how === 'the proof' ? {} : { dpop_jkt: key.jkt }
      const headers = how === 'dpop_jkt' ? {} : { dpop: await proof(key, '/oauth/par') }
      const { request_uri } = await push(by, fields, headers)
      const code = await codeOf(by.browser, pathTo(by.clientId, request_uri))
      for (const refused of [{}, { dpop: await proof(other, '/oauth/token') }])
        expect(await (await redeem(by, code, refused)).json()).toMatchObject({
          error: 'invalid_grant',
        })
      const answer = await redeem(by, code, { dpop: await proof(key, '/oauth/token') })
      expect(await answer.json()).toMatchObject({ token_type: 'DPoP' })
    },
  )

  it('refuses a proof of another key, address or time, and one that was used before', async () => {
    const by = await setUp()
    const [key, other] = [await createKey(), await createKey()]
    const proof = (more: object = {}) =>
      signDpopProof(key, { htm: 'POST', htu: address('/oauth/par'), now: app.now(), ...more })
    const used = await proof()
    await push(by, {}, { dpop: used })
    const wrong: [Fields, string][] = [
      [{ dpop_jkt: other.jkt }, await proof()],
      [{}, await proof({ htu: address('/oauth/token') })],
      [{}, await proof({ htm: 'GET' })],
      [{}, 'a.b.c'],
      [{}, used],
    ]
    for (const [fields, dpop] of wrong) {
      const { result } = await observeUnchanged(app, () => post(fieldsOf(by, fields), { dpop }))
      expect([result.status, await result.json()]).toMatchObject([
        400,
        { error: 'invalid_dpop_proof' },
      ])
    }
  })

  it('a request that is refused leaves the proof unused', async () => {
    const by = await setUp()
    const key = await createKey()
    const dpop = await signDpopProof(key, {
      htm: 'POST',
      htu: address('/oauth/par'),
      now: app.now(),
    })
    expect((await post(fieldsOf(by, { scope: 'x' }), { dpop })).status).toBe(400)
    expect((await post(fieldsOf(by), { dpop })).status).toBe(201)
  })

  it('asks for a nonce of ours where the operator wants it so, before anything is used up', async () => {
    const strict = await startTestApp({ settings: { DPOP_REQUIRE_NONCE: 'true' }, replicaOf: app })
    const by = await setUp()
    const key = await createKey()
    const proof = (nonce?: string) =>
      signDpopProof(key, { htm: 'POST', htu: address('/oauth/par'), now: app.now(), nonce })
    const asked = await post(fieldsOf(by), { dpop: await proof() }, strict)
    expect([asked.status, await asked.json()]).toMatchObject([400, { error: 'use_dpop_nonce' }])
    const nonce = asked.headers.get('dpop-nonce') ?? ''
    expect((await post(fieldsOf(by), { dpop: await proof(nonce) }, strict)).status).toBe(201)
    await strict.close()
  })
})

/** Requests that their client has signed (RFC 9101, OIDC Core §6), by value and by reference, at both endpoints. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewClient } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { decide, parametersOf } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { createKey, inSeconds, keySetOf, type ProofKey, signJwt } from '../support/proofs.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let key: ProofKey
let documents: Server
const served = new Map<string, string>()
beforeAll(async () => {
  app = await startTestApp({ settings: { OUTBOUND_PRIVATE_ADDRESSES: 'true' } })
  key = await createKey()
  documents = createServer((request, response) => {
    const text = served.get(request.url ?? '')
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'application/jose' })
    response.end(text)
  })
  await new Promise<void>((resolve) => documents.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  await new Promise((resolve) => documents.close(resolve))
  await app.close()
})

const second = 'https://app.example.test/second'
const documentUri = (path: string) =>
  `http://127.0.0.1:${(documents.address() as AddressInfo).port}${path}`

async function setUp(more: Partial<NewClient> = {}) {
  const user = await addUser(app.database.db)
  const { client, secret = '' } = await addClient(app.database.db, {
    type: 'confidential',
    redirectUris: [redirectUri, second],
    jwks: keySetOf(key),
    ...more,
  })
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  return { browser, clientId: client.clientId, secret }
}
type Claims = Record<string, unknown>

const claimsOf = (clientId: string, more: Claims = {}): Claims => ({
  iss: clientId,
  aud: app.config.server.baseUrl,
  client_id: clientId,
  response_type: 'code',
  redirect_uri: redirectUri,
  scope: 'openid profile',
  state: 'inside',
  jti: crypto.randomUUID(),
  nbf: inSeconds(app.now()),
  exp: inSeconds(app.now(), 60),
  ...more,
})

const sign = (clientId: string, more: Claims = {}, header: Claims = {}, by = key) =>
  signJwt(by, claimsOf(clientId, more), { kid: by.jkt, typ: 'oauth-authz-req+jwt', ...header })

const path = (parameters: Record<string, string>) =>
  `/oauth/authorize?${new URLSearchParams(parameters)}`

const push = (by: { clientId: string; secret: string }, fields: Record<string, string>) =>
  app.request('/oauth/par', {
    method: 'POST',
    body: new URLSearchParams({
      client_id: by.clientId,
      client_secret: by.secret,
      ...fields,
    }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

/** Follows to the stored request, and says yes. */
async function walk(by: Awaited<ReturnType<typeof setUp>>, parameters: Record<string, string>) {
  const arrived = await by.browser.get(path({ client_id: by.clientId, ...parameters }))
  expect(arrived.status).toBe(303)
  const stored = arrived.headers.get('location') ?? ''
  expect(stored).toMatch(/^\/oauth\/authorize\?authorization_request=/)
  return { stored, sent: await decide(by.browser, stored, 'approve') }
}

const errors = (endpoint: string, error: string) => ({
  [`authgate_oauth_errors_total{endpoint="${endpoint}",error="${error}"}`]: 1,
})

describe('a request object', () => {
  it('counts alone: what stands beside it is ignored, the redirect URI included (RFC 9101 §6.3)', async () => {
    const by = await setUp()
    const { sent } = await walk(by, {
      request: await sign(by.clientId),
      response_type: 'code',
      scope: 'openid email',
      state: 'outside',
      redirect_uri: 'https://evil.test/',
      prompt: 'none',
    })
    const location = sent.headers.get('location') ?? ''
    expect(location.startsWith(`${redirectUri}?`)).toBe(true)
    expect(parametersOf(sent)).toMatchObject({ state: 'inside', code: expect.any(String) })
    const codes = await app.database.db.query.authorizationCodes.findMany()
    expect(codes.find(({ clientId }) => clientId === by.clientId)?.scope).toBe('openid profile')
  })

  it('may leave to the outside what always stands there (OIDC Core §6.1), and nothing else', async () => {
    const by = await setUp()
    const request = await sign(by.clientId, {
      response_type: undefined,
      scope: undefined,
      client_id: undefined,
      state: undefined,
    })
    const more = { response_type: 'code', scope: 'openid', state: 'outside' }
    const { sent } = await walk(by, { request, ...more })
    expect(Object.keys(parametersOf(sent)).sort()).toEqual(['code', 'iss'])
  })

  it('holds structures and lists: claims, resources, max_age', async () => {
    const resources = ['https://a.example.test', 'https://b.example.test']
    const by = await setUp({ allowedResources: resources })
    const claims = { userinfo: { email: { essential: true } } }
    const request = await sign(by.clientId, { claims, resource: resources, max_age: 600 })
    await walk(by, { request })
    const codes = await app.database.db.query.authorizationCodes.findMany()
    const code = codes.find(({ clientId }) => clientId === by.clientId)
    expect(code).toMatchObject({ resources, details: { claims } })
  })

  it('is good once: its page may be loaded again, its address may not', async () => {
    const by = await setUp()
    const request = await sign(by.clientId)
    const address = path({ client_id: by.clientId, request, redirect_uri: redirectUri })
    const stored = (await by.browser.get(address)).headers.get('location') ?? ''
    for (const _again of [1, 2]) expect((await by.browser.get(stored)).status).toBe(200)
    const { result, moved } = await observe(app, () => by.browser.get(address))
    expect(parametersOf(result)['error']).toBe('invalid_request_object')
    expect(moved).toEqual(errors('/oauth/authorize', 'invalid_request_object'))
    const pushing = await push(by, { request })
    expect(await pushing.json()).toMatchObject({ error: 'invalid_request_object' })
  })

  const wrong: [string, (clientId: string) => Promise<string>][] = [
    ['no JWT', async () => 'a.b.c'],
    ['unsigned', async (id) => new UnsecuredJWT(claimsOf(id)).encode()],
    ['signed by another key', async (id) => sign(id, {}, { kid: key.jkt }, await createKey())],
    ['of another client', async (id) => sign(id, { client_id: 'other' })],
    ['of another issuer', async (id) => sign(id, { iss: 'other' })],
    ['meant for another server', async (id) => sign(id, { aud: 'https://other.test' })],
    ['expired', async (id) => sign(id, { exp: inSeconds(app.now(), -60) })],
    ['not valid yet', async (id) => sign(id, { nbf: inSeconds(app.now(), 120) })],
    ['a JWT for something else', async (id) => sign(id, {}, { typ: 'dpop+jwt' })],
    ['with another one inside', async (id) => sign(id, { request: 'a.b.c' })],
    ['with a reference inside', async (id) => sign(id, { request_uri: 'https://x.test' })],
  ]
  it.each(wrong)(
    '%s is told back where the redirect URI beside it is registered, else on a page',
    async (_, make) => {
      const by = await setUp()
      const request = await make(by.clientId)
      const beside = { client_id: by.clientId, request, state: 'outside' }
      const told = await observe(app, () =>
        by.browser.get(path({ ...beside, redirect_uri: second })),
      )
      expect(told.result.headers.get('location')).toMatch(/\/second\?error=invalid_request_object&/)
      expect(parametersOf(told.result)).toMatchObject({
        state: 'outside',
        iss: app.config.server.baseUrl,
      })
      expect(told.moved).toEqual(errors('/oauth/authorize', 'invalid_request_object'))
      for (const redirect of [{}, { redirect_uri: 'https://evil.test/' }]) {
        const page = await by.browser.get(path({ ...beside, ...redirect }))
        expect([page.status, page.headers.get('location')]).toEqual([400, null])
      }
      const pushing = await push(by, { request })
      expect([pushing.status, await pushing.json()]).toMatchObject([
        400,
        { error: 'invalid_request_object' },
      ])
      const rows = await app.database.db.query.authorizationRequests.findMany()
      expect(rows.filter(({ clientId }) => clientId === by.clientId)).toEqual([])
    },
  )

  const invalid: [string, Claims, string][] = [
    ['a scope beyond the registered one', { scope: 'profile admin' }, 'invalid_scope'],
    ['an unknown response_type', { response_type: 'token' }, 'unsupported_response_type'],
    ['a state of 1025 characters', { state: 'x'.repeat(1025) }, 'invalid_request'],
    ['the wrong kind of claims', { claims: 'email' }, 'invalid_request'],
  ]
  it.each(invalid)(
    'with %s inside is answered to the redirect URI inside',
    async (_, more, error) => {
      const by = await setUp()
      const request = await sign(by.clientId, more)
      const beside = { client_id: by.clientId, request, redirect_uri: second, state: 'outside' }
      const refused = await by.browser.get(path(beside))
      expect(refused.headers.get('location')).toMatch(/\/callback\?error=/)
      expect(parametersOf(refused)['error']).toBe(error)
    },
  )

  it('with a redirect URI that is not registered is answered by a page', async () => {
    const by = await setUp()
    for (const redirect_uri of ['https://evil.test/', undefined]) {
      const request = await sign(by.clientId, { redirect_uri })
      const page = await by.browser.get(
        path({ client_id: by.clientId, request, redirect_uri: redirectUri }),
      )
      expect([page.status, page.headers.get('location')]).toEqual([400, null])
    }
  })

  it('comes alone: repeated, or together with a reference, it is refused', async () => {
    const by = await setUp()
    const request = await sign(by.clientId)
    const beside = { client_id: by.clientId, request, redirect_uri: redirectUri }
    const both = path({ ...beside, request_uri: 'https://app.example.test/request' })
    for (const address of [`${path(beside)}&request=${request}`, both])
      expect(parametersOf(await by.browser.get(address))['error']).toBe('invalid_request')
  })

  it('unsigned is for clients that are registered to send it so', async () => {
    const by = await setUp({ requestObjectSigningAlg: 'none' })
    const request = new UnsecuredJWT(claimsOf(by.clientId)).encode()
    const { sent } = await walk(by, { request })
    expect(parametersOf(sent)['code']).toHaveLength(43)
  })

  it.each([
    ['a state with a NUL', { state: 'a\0b' }],
    ['claims with half a character', { claims: { id_token: { acr: { value: '\ud800' } } } }],
    ['a name that nobody knows, with a NUL', { 'x\0': 1 }],
  ])('with %s is refused, pushed or not, and stays unused', async (_, more) => {
    const by = await setUp()
    const request = await sign(by.clientId, more)
    const asked = { client_id: by.clientId, redirect_uri: redirectUri, request }
    const { result } = await observeUnchanged(app, async () => [
      await by.browser.get(path(asked)),
      await push(by, { request }),
    ])
    const [sent = new Response(), pushed] = result
    expect(parametersOf(sent)['error']).toBe('invalid_request_object')
    expect(pushed?.status).toBe(400)
    expect(await pushed?.json()).toMatchObject({ error: 'invalid_request_object' })
  })

  it('works by POST, and pushed', async () => {
    const by = await setUp()
    const posted = await app.request('/oauth/authorize', {
      method: 'POST',
      body: new URLSearchParams({
        client_id: by.clientId,
        request: await sign(by.clientId),
      }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect((await by.browser.get(posted.headers.get('location') ?? '')).status).toBe(200)
    const pushing = await push(by, { request: await sign(by.clientId), state: 'outside' })
    const { request_uri } = (await pushing.json()) as { request_uri: string }
    const address = path({ client_id: by.clientId, request_uri })
    expect(parametersOf(await decide(by.browser, address, 'approve'))['state']).toBe('inside')
  })
})

describe('a client that has to sign its requests', () => {
  it('is refused every other one, and what stands outside counts for nothing', async () => {
    const by = await setUp({ requireSignedRequestObject: true })
    const plain = {
      client_id: by.clientId,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid',
    }
    expect(parametersOf(await by.browser.get(path(plain)))['error']).toBe('invalid_request')
    const pushing = await push(by, { ...plain, client_id: by.clientId })
    expect(await pushing.json()).toMatchObject({ error: 'invalid_request' })
    const request = await sign(by.clientId, { response_type: undefined })
    const refused = await by.browser.get(path({ ...plain, request }))
    expect(parametersOf(refused)).toMatchObject({ error: 'invalid_request', state: 'inside' })
    const { sent } = await walk(by, { request: await sign(by.clientId) })
    expect(parametersOf(sent)['code']).toHaveLength(43)
  })
})

describe('a request_uri', () => {
  it('of the client is read, whatever its fragment', async () => {
    const uri = documentUri('/one')
    for (const fragment of ['', '#version-2']) {
      const by = await setUp({ requestUris: [uri] })
      served.set('/one', await sign(by.clientId))
      const { sent } = await walk(by, { request_uri: `${uri}${fragment}`, response_type: 'code' })
      expect(parametersOf(sent)['state']).toBe('inside')
    }
    const samples = await app.samples()
    const series = 'authgate_outbound_requests_total{purpose="request_object",result="success"}'
    expect(samples.get(series)).toBe(2)
  })

  it('that is not registered is not even asked', async () => {
    const by = await setUp({ requestUris: [documentUri('/mine')] })
    for (const uri of [documentUri('/other'), documentUri('/mine?x'), 'file:///etc/passwd', 'x']) {
      const { result, moved } = await observe(app, () =>
        by.browser.get(
          path({ client_id: by.clientId, request_uri: uri, redirect_uri: redirectUri }),
        ),
      )
      expect(parametersOf(result)['error']).toBe('invalid_request_uri')
      expect(moved).toEqual(errors('/oauth/authorize', 'invalid_request_uri'))
    }
  })

  it('that cannot be read, or holds something else, is refused', async () => {
    const by = await setUp({ requestUris: [documentUri('/gone'), documentUri('/html')] })
    served.set('/html', '<html>')
    const ask = async (uri: string) =>
      parametersOf(
        await by.browser.get(
          path({ client_id: by.clientId, request_uri: uri, redirect_uri: redirectUri }),
        ),
      )['error']
    expect(await ask(documentUri('/gone'))).toBe('invalid_request_uri')
    expect(await ask(documentUri('/html'))).toBe('invalid_request_object')
  })
})

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { clients } from '#/database/schema/clients.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { versionOf } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { obtainCode, postToken, redeemCode } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
/** New clients wait. */
let strict: TestApp
let documents: Server
let documentsUrl: string
const initialToken = 'initial-access-token'
beforeAll(async () => {
  app = await startTestApp({
    settings: {
      ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
      DYNAMIC_CLIENT_REGISTRATION_STATUS: 'active',
      OUTBOUND_PRIVATE_ADDRESSES: 'true',
    },
  })
  strict = await startTestApp({
    settings: {
      ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
      DYNAMIC_CLIENT_REGISTRATION_TOKEN: initialToken,
    },
    replicaOf: app,
  })
  documents = createServer((request, response) => response.end(bodies[request.url ?? '']))
  await new Promise<void>((resolve) => documents.listen(0, '127.0.0.1', resolve))
  documentsUrl = `http://127.0.0.1:${(documents.address() as AddressInfo).port}`
})
afterAll(async () => {
  documents.close()
  await strict.close()
  await app.close()
})

const bodies: Readonly<Record<string, string>> = {
  '/good': JSON.stringify([redirectUri, 'https://other.example.test/']),
  '/other': JSON.stringify(['https://other.example.test/']),
  '/object': JSON.stringify({ redirect_uris: [redirectUri] }),
  '/text': redirectUri,
}

const metadata = {
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token'],
}
const json = { 'content-type': 'application/json' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

interface Registered {
  client_id: string
  client_secret: string
  registration_access_token: string
  registration_client_uri: string
  [field: string]: unknown
}

const post = (body: string, headers: Record<string, string> = json, to: TestApp = app) =>
  to.request('/oauth/register', { method: 'POST', body, headers })

async function register(more: object = {}, to: TestApp = app): Promise<Registered> {
  const headers = to === strict ? { ...json, ...bearer(initialToken) } : json
  const response = await post(JSON.stringify({ ...metadata, ...more }), headers, to)
  expect(response.status).toBe(201)
  return (await response.json()) as Registered
}

const manage = (
  method: string,
  {
    client_id,
    registration_access_token,
  }: Pick<Registered, 'client_id' | 'registration_access_token'>,
  { body, to = app }: { body?: object; to?: TestApp } = {},
) =>
  to.request(`/oauth/register/${client_id}`, {
    method,
    headers: { ...(body && json), ...bearer(registration_access_token) },
    ...(body && { body: JSON.stringify(body) }),
  })

const put = (registered: Registered, more: object, to = app) =>
  manage('PUT', registered, { body: { client_id: registered.client_id, ...metadata, ...more }, to })

const rowOf = async ({ client_id }: Pick<Registered, 'client_id'>) =>
  (await app.database.db.select().from(clients).where(eq(clients.clientId, client_id)))[0]

async function auditOf({ client_id }: Pick<Registered, 'client_id'>) {
  const rows = await app.database.db
    .select({ type: auditEvents.type })
    .from(auditEvents)
    .where(eq(auditEvents.clientId, client_id))
    .orderBy(auditEvents.id)
  return rows.map(({ type }) => type)
}

const registrations = (result: string) => ({
  [`authgate_client_registrations_total{result="${result}"}`]: 1,
})
const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/register",error="${error}"}`]: 1,
})
const population = (status: string, by: number) => ({
  [`authgate_oauth_clients_registered{status="${status}"}`]: by,
})
const rejected = (error = 'invalid_client_metadata') => ({
  ...registrations('rejected_metadata'),
  ...errors(error),
})
const sectorAsked = {
  'authgate_outbound_requests_total{purpose="sector_identifier",result="success"}': 1,
}
const unauthorized = { ...registrations('unauthorized'), ...errors('invalid_token') }

/** RFC 7591 §3.2.2: JSON, a code, words; never cached. */
async function expectError(response: Response, status: number, error: string) {
  expect([response.status, response.headers.get('cache-control')]).toEqual([status, 'no-store'])
  expect(response.headers.get('content-type')).toMatch(/^application\/json/)
  expect(await response.json()).toEqual({
    error,
    error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5B\x5D-\x7E]{1,150}$/),
  })
}

/** A user signs in, consents and comes back; the client redeems the code. */
async function letIn({
  client_id,
  client_secret,
}: Pick<Registered, 'client_id' | 'client_secret'>) {
  const browser = openBrowser(app)
  await browser.signIn((await addUser(app.database.db)).username)
  const code = await obtainCode(browser, client_id)
  return (await redeemCode(app, client_id, code, { client_secret })).json()
}

describe('POST /oauth/register', () => {
  it('answers everything that it registered, and both secrets, once (RFC 7591 §3.2.1)', async () => {
    const { result, moved } = await observe(app, () => post(JSON.stringify(metadata)))
    const body = (await result.json()) as Registered
    expect([result.status, result.headers.get('cache-control')]).toEqual([201, 'no-store'])
    expect(body).toEqual({
      client_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      client_id_issued_at: expect.any(Number),
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      client_secret_expires_at: 0,
      registration_access_token: expect.stringMatching(/^[\w-]{43}$/),
      registration_client_uri: `${app.config.server.baseUrl}/oauth/register/${body.client_id}`,
      ...metadata,
      response_types: ['code'],
      application_type: 'web',
      client_name: 'app.example.test',
      scope: 'openid profile email offline_access',
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'RS256',
      introspection_signed_response_alg: 'RS256',
      require_signed_request_object: false,
      require_pushed_authorization_requests: false,
      dpop_bound_access_tokens: false,
      subject_type: 'public',
      require_auth_time: false,
      backchannel_logout_session_required: false,
    })
    expect(moved).toEqual({ ...registrations('created'), ...population('active', 1) })
    expect(await auditOf(body)).toEqual(['CLIENT_REGISTERED'])
    const row = JSON.stringify(await rowOf(body))
    expect(row).not.toContain(body.client_secret)
    expect(row).not.toContain(body.registration_access_token)
  })

  it('makes clients that can be used at once, when a setting says so', async () => {
    const { client_id, client_secret } = await register()
    expect(await letIn({ client_id, client_secret })).toHaveProperty('id_token')
  })

  it('lets new clients do nothing before an operator has approved them', async () => {
    const { result, moved } = await observe(strict, () => register({}, strict))
    expect(moved).toEqual({ ...registrations('created'), ...population('pending', 1) })
    const ask = () =>
      postToken(app, {
        grant_type: 'refresh_token',
        refresh_token: 'x',
        client_id: result.client_id,
        client_secret: result.client_secret,
      })
    expect((await ask()).status).toBe(401)
    await setClientStatus(
      app.database.db,
      { clientId: result.client_id, status: 'active' },
      { origin: systemOrigin, now: app.now() },
    )
    await expect.poll(async () => (await ask()).status).toBe(400)
  })

  it.each([
    ['none', undefined],
    ['client_secret_post', expect.any(String)],
    ['private_key_jwt', undefined],
  ])('gives a secret to those that need one: %s', async (token_endpoint_auth_method, secret) => {
    const jwks_uri = 'https://app.example.test/jwks'
    const registered = await register({
      token_endpoint_auth_method,
      ...(token_endpoint_auth_method === 'private_key_jwt' && { jwks_uri }),
    })
    expect(registered.client_secret).toEqual(secret)
    expect('client_secret_expires_at' in registered).toBe(secret !== undefined)
    expect((await rowOf(registered))?.type).toBe(
      token_endpoint_auth_method === 'none' ? 'public' : 'confidential',
    )
  })

  it('asks the sector identifier whether it knows all redirect URIs', async () => {
    const at = (path: string) => ({ sector_identifier_uri: `${documentsUrl}${path}` })
    const registered = await register({ ...at('/good'), subject_type: 'pairwise' })
    expect(registered).toMatchObject({ ...at('/good'), subject_type: 'pairwise' })
    for (const path of ['/other', '/object', '/text', '/empty']) {
      const { result, moved } = await observeUnchanged(app, () =>
        post(JSON.stringify({ ...metadata, ...at(path) })),
      )
      await expectError(result, 400, 'invalid_client_metadata')
      expect(moved).toEqual({ ...rejected(), ...sectorAsked })
    }
  })
})

describe('POST /oauth/register with a request that is none', () => {
  const good = JSON.stringify(metadata)
  const half = String.raw`{"redirect_uris":["https://app.example.test/callback"],"client_name":"\ud800"}`
  const nul = String.raw`{"redirect_uris":["https://app.example.test/callback"],"client_name":"\u0000"}`
  const nulKey = String.raw`{"redirect_uris":["https://app.example.test/callback"],"jwks":{"\u0000":1}}`
  const cases: [string, string, Record<string, string>, number, string][] = [
    ['an empty body', '', json, 400, 'invalid_request'],
    ['broken JSON', '{"redirect_uris":', json, 400, 'invalid_request'],
    ['a list', '[]', json, 400, 'invalid_request'],
    ['null', 'null', json, 400, 'invalid_request'],
    ['a text', '"x"', json, 400, 'invalid_request'],
    ['a NUL in a value', nul, json, 400, 'invalid_request'],
    ['a NUL in a name', nulKey, json, 400, 'invalid_request'],
    ['half a character', half, json, 400, 'invalid_request'],
    ['JSON as deep as it is long', '['.repeat(16_000), json, 400, 'invalid_request'],
    ['no content type', good, { 'content-type': '' }, 415, 'invalid_request'],
    [
      'a form',
      'redirect_uris=x',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'invalid_request',
    ],
    ['JSON called text', good, { 'content-type': 'text/plain' }, 415, 'invalid_request'],
    ['no redirect URI', '{}', json, 400, 'invalid_redirect_uri'],
    [
      'a redirect URI that is a script',
      '{"redirect_uris":["javascript:x"]}',
      json,
      400,
      'invalid_redirect_uri',
    ],
    [
      'an encrypted answer',
      JSON.stringify({ ...metadata, id_token_encrypted_response_alg: 'RSA-OAEP' }),
      json,
      400,
      'invalid_client_metadata',
    ],
    [
      'a grant for operators to give',
      JSON.stringify({
        ...metadata,
        grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      }),
      json,
      400,
      'invalid_client_metadata',
    ],
    [
      'a scope of somebody else',
      JSON.stringify({ ...metadata, scope: 'openid admin' }),
      json,
      400,
      'invalid_client_metadata',
    ],
  ]
  it.each(cases)('%s changes nothing', async (_, body, headers, status, error) => {
    const { result, moved } = await observeUnchanged(app, () => post(body, headers))
    await expectError(result, status, error)
    expect(result.headers.get('www-authenticate')).toBeNull()
    expect(moved).toEqual(rejected(error))
  })

  it('takes JSON with a charset', async () => {
    const type = { 'content-type': 'Application/JSON; charset=utf-8' }
    expect((await post(good, type)).status).toBe(201)
  })

  it('refuses more than anybody needs before it is read', async () => {
    const body = JSON.stringify({ ...metadata, contacts: ['x'.repeat(70_000)] })
    const { result, moved } = await observeUnchanged(app, () => post(body))
    await expectError(result, 413, 'invalid_request')
    expect(moved).toEqual({})
  })

  it('answers no other method', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const response = await app.request('/oauth/register', { method })
      expect([method, response.status, response.headers.get('allow')]).toEqual([
        method,
        405,
        'POST',
      ])
    }
    const one = await app.request('/oauth/register/x', { method: 'POST' })
    expect([one.status, one.headers.get('allow')]).toEqual([405, 'GET, PUT, DELETE'])
  })
})

describe('the initial access token', () => {
  const cases: [string, Record<string, string>, string][] = [
    ['none', {}, 'Bearer realm="authgate"'],
    ['an empty one', { authorization: 'Bearer ' }, 'Bearer realm="authgate"'],
    ['another scheme', { authorization: `Basic ${initialToken}` }, 'Bearer realm="authgate"'],
    ['a wrong one', bearer(`${initialToken}x`), 'Bearer realm="authgate", error="invalid_token"'],
    ['half of it', bearer(initialToken.slice(1)), 'Bearer realm="authgate", error="invalid_token"'],
    [
      'another case',
      bearer(initialToken.toUpperCase()),
      'Bearer realm="authgate", error="invalid_token"',
    ],
  ]
  it.each(cases)('%s registers nothing', async (_, headers, challenge) => {
    const { result, moved } = await observeUnchanged(strict, () =>
      post(JSON.stringify(metadata), { ...json, ...headers }, strict),
    )
    expect(result.headers.get('www-authenticate')).toBe(challenge)
    await expectError(result, 401, 'invalid_token')
    expect(moved).toEqual(unauthorized)
  })

  it('is asked for before the body is looked at', async () => {
    const { result } = await observeUnchanged(strict, () => post('{', {}, strict))
    expect(result.status).toBe(401)
  })
})

describe('where clients cannot register themselves', () => {
  it('every method says so, and discovery names no such endpoint', async () => {
    const closed = await startTestApp({ replicaOf: app })
    const registered = await register()
    const body = { client_id: registered.client_id, ...metadata }
    const asks = [
      () => post(JSON.stringify(metadata), json, closed),
      () => manage('GET', registered, { to: closed }),
      () => manage('PUT', registered, { body, to: closed }),
      () => manage('DELETE', registered, { to: closed }),
    ]
    for (const ask of asks) {
      const { result, moved } = await observeUnchanged(closed, ask)
      await expectError(result, 403, 'registration_not_supported')
      expect(moved).toEqual(errors('registration_not_supported'))
    }
    expect(await registrationEndpoint(closed)).toBeUndefined()
    expect(await registrationEndpoint(app)).toBe(`${app.config.server.baseUrl}/oauth/register`)
    await closed.close()
  })
})

async function registrationEndpoint(of: TestApp): Promise<unknown> {
  const response = await of.request('/.well-known/openid-configuration')
  return ((await response.json()) as Record<string, unknown>)['registration_endpoint']
}

describe('a client and its registration (RFC 7592)', () => {
  it('reads it, without the secret that is stored nowhere', async () => {
    const { client_secret: _, client_secret_expires_at: __, ...shown } = await register()
    const { result, moved } = await observeUnchanged(app, () => manage('GET', shown))
    expect([result.status, result.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(await result.json()).toEqual(shown)
    expect(moved).toEqual({})
  })

  it('replaces all of it', async () => {
    const registered = await register({ client_name: 'Old', default_max_age: 60 })
    const { result, moved } = await observe(app, () =>
      put(registered, { client_name: 'New', require_auth_time: true }),
    )
    expect(result.status).toBe(200)
    const {
      client_secret: _,
      client_secret_expires_at: __,
      default_max_age: ___,
      ...rest
    } = registered
    expect(await result.json()).toEqual({ ...rest, client_name: 'New', require_auth_time: true })
    expect(moved).toEqual(registrations('updated'))
    expect(await auditOf(registered)).toEqual(['CLIENT_REGISTERED', 'CLIENT_UPDATED'])
    expect(await rowOf(registered)).toMatchObject({ name: 'New', defaultMaxAge: null })
    // The secret is still the old one.
    expect(await letIn(registered)).toHaveProperty('access_token')
  })

  it('is met as what it has become, at once', async () => {
    const registered = await register({ token_endpoint_auth_method: 'none' })
    const refresh = {
      grant_type: 'refresh_token',
      refresh_token: 'x',
      client_id: registered.client_id,
    }
    expect((await postToken(app, refresh)).status).toBe(400)
    const changed = (await (await put(registered, {})).json()) as Registered
    expect(changed.client_secret).toMatch(/^[\w-]{43}$/)
    expect((await postToken(app, refresh)).status).toBe(401)
    const proven = { ...refresh, client_secret: changed.client_secret }
    expect((await postToken(app, proven)).status).toBe(400)
    await put(registered, { token_endpoint_auth_method: 'none' })
    expect((await postToken(app, proven)).status).toBe(401)
    expect((await postToken(app, refresh)).status).toBe(400)
    expect((await rowOf(registered))?.secretHash).toBeNull()
  })

  const becomesAnother: [string, object][] = [
    ['redirect URIs', { redirect_uris: ['https://evil.example.test/'] }],
    ['grants', { grant_types: ['authorization_code'] }],
    ['scope', { scope: 'openid' }],
    ['keys', { jwks_uri: 'https://evil.example.test/jwks' }],
    ['authentication', { token_endpoint_auth_method: 'none' }],
    ['name', { client_name: 'Your bank' }],
    ['logo', { logo_uri: 'https://app.example.test/other.png' }],
    ['home page', { client_uri: 'https://evil.example.test/' }],
    ['privacy policy', { policy_uri: 'https://evil.example.test/' }],
    ['terms', { tos_uri: 'https://evil.example.test/' }],
    ['contacts', { contacts: ['ceo@evil.example.test'] }],
    ['logout address', { backchannel_logout_uri: 'https://evil.example.test/' }],
  ]
  it.each(becomesAnother)('has to be approved again when it changes its %s', async (_, change) => {
    const registered = await register()
    await letIn(registered)
    const { result, moved } = await observe(strict, () => put(registered, change, strict))
    expect(result.status).toBe(200)
    expect((await rowOf(registered))?.status).toBe('pending')
    expect(moved).toEqual({
      ...registrations('updated'),
      'authgate_client_decisions_total{decision="returned"}': 1,
      ...population('active', -1),
      ...population('pending', 1),
      'oauth_tokens_revoked_total{reason="client_inactive",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="client_inactive",token_type="refresh"}': 1,
      'oauth_tokens_active{token_type="access"}': -1,
      'oauth_tokens_active{token_type="refresh"}': -1,
    })
  })

  it('stays approved when nothing changes, or nothing that was approved', async () => {
    const jwks = {
      keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }],
    }
    const registered = await register({ jwks })
    expect((await put(registered, { jwks }, strict)).status).toBe(200)
    expect((await put(registered, { jwks, default_max_age: 60 }, strict)).status).toBe(200)
    expect((await rowOf(registered))?.status).toBe('active')
  })

  it('loses the tokens that are for more than it asks for now, where nobody has to approve it', async () => {
    const registered = await register({ scope: 'openid profile email offline_access' })
    const { access_token } = (await letIn(registered)) as { access_token: string }
    const ask = () =>
      app.request('/oauth/userinfo', { headers: { authorization: `Bearer ${access_token}` } })
    expect((await ask()).status).toBe(200)
    const { result, moved } = await observe(app, () => put(registered, { scope: 'openid' }))
    expect(result.status).toBe(200)
    expect((await rowOf(registered))?.status).toBe('active')
    expect(moved).toMatchObject({
      'oauth_tokens_revoked_total{reason="client_request",token_type="access"}': 1,
    })
    expect((await ask()).status).toBe(401)
  })

  it('does not come back by itself when an operator has disabled it', async () => {
    const registered = await register()
    const change = { clientId: registered.client_id, status: 'inactive' } as const
    await setClientStatus(app.database.db, change, { origin: systemOrigin, now: app.now() })
    expect((await put(registered, { client_name: 'Newer' })).status).toBe(200)
    expect((await rowOf(registered))?.status).toBe('inactive')
  })

  const wrongUpdates: [string, (registered: Registered) => object, string][] = [
    ['no client_id', () => ({ client_id: undefined }), 'invalid_client_metadata'],
    [
      'the client_id of another',
      () => ({ client_id: crypto.randomUUID() }),
      'invalid_client_metadata',
    ],
    [
      'a client_id that is no text',
      ({ client_id }) => ({ client_id: [client_id] }),
      'invalid_client_metadata',
    ],
    [
      'a wrong client_secret',
      ({ client_secret }) => ({ client_secret: `${client_secret}x` }),
      'invalid_client_metadata',
    ],
    ['a client_secret that is no text', () => ({ client_secret: 7 }), 'invalid_client_metadata'],
    [
      'a redirect URI in the clear',
      () => ({ redirect_uris: ['http://app.example.test/'] }),
      'invalid_redirect_uri',
    ],
    ['no redirect URI', () => ({ redirect_uris: [] }), 'invalid_redirect_uri'],
    [
      'a grant for operators to give',
      () => ({ grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'] }),
      'invalid_client_metadata',
    ],
    [
      'a sector that does not know it',
      () => ({ sector_identifier_uri: `${documentsUrl}/other` }),
      'invalid_client_metadata',
    ],
  ]
  it.each(wrongUpdates)('cannot be replaced with %s', async (_, change, error) => {
    const registered = await register()
    const { result, moved } = await observeUnchanged(app, () => put(registered, change(registered)))
    await expectError(result, 400, error)
    const { sector_identifier_uri: asked } = change(registered) as Partial<Registered>
    expect(moved).toEqual({ ...rejected(error), ...(asked !== undefined && sectorAsked) })
  })

  it('may name the secret that it has', async () => {
    const registered = await register()
    expect((await put(registered, { client_secret: registered.client_secret })).status).toBe(200)
  })

  it('ends with everything that it was given', async () => {
    const registered = await register()
    await letIn(registered)
    const { result, moved } = await observe(app, () => manage('DELETE', registered))
    expect([result.status, await result.text()]).toEqual([204, ''])
    expect(moved).toEqual({
      ...registrations('deleted'),
      ...population('active', -1),
      'oauth_consent_revoked_total{actor="system"}': 1,
      authgate_consents_active: -1,
      'oauth_tokens_revoked_total{reason="client_inactive",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="client_inactive",token_type="refresh"}': 1,
      'oauth_tokens_active{token_type="access"}': -1,
      'oauth_tokens_active{token_type="refresh"}': -1,
    })
    expect(await rowOf(registered)).toBeUndefined()
    expect(await auditOf(registered)).toContain('CLIENT_DELETED')
    const { client_id, client_secret } = registered
    const fields = { grant_type: 'refresh_token', refresh_token: 'x', client_id, client_secret }
    expect((await postToken(app, fields)).status).toBe(401)
  })

  it('ends once, however many ask for it at the same time', async () => {
    const registered = await register()
    const { result, moved } = await observe(app, () =>
      Promise.all(Array.from({ length: 8 }, () => manage('DELETE', registered))),
    )
    expect(result.map(({ status }) => status).sort()).toEqual([204, ...Array<number>(7).fill(401)])
    expect(moved).toEqual({
      ...registrations('deleted'),
      'authgate_client_registrations_total{result="unauthorized"}': 7,
      'authgate_oauth_errors_total{endpoint="/oauth/register",error="invalid_token"}': 7,
      ...population('active', -1),
    })
  })
})

describe('an operator who is asked for approval', () => {
  const decided = (decision: string) => ({
    [`authgate_client_decisions_total{decision="${decision}"}`]: 1,
  })
  const seenOf = async (registered: Registered) => {
    const row = await rowOf(registered)
    return row ? versionOf(row) : ''
  }

  async function operator() {
    const admin = openBrowser(app)
    await admin.signIn((await addAdmin(app.database.db)).username)
    return (registered: Registered, verb: string, fields: Record<string, string> = {}) =>
      observe(app, () =>
        admin.submit('/admin/clients', `/admin/clients/${registered.client_id}/${verb}`, fields),
      )
  }

  const cases = [
    ['approve', 'approved', 'active'],
    ['reject', 'rejected', 'inactive'],
  ] as const
  it.each(cases)('can %s: once, counted, in the audit log', async (verb, decision, status) => {
    const decide = await operator()
    const registered = await register({}, strict)
    const seen = await seenOf(registered)
    const { result, moved } = await decide(registered, verb, { seen })
    expect(result.headers.get('location')).toBe(`/admin/clients?notice=${decision}`)
    expect(moved).toEqual({
      ...decided(decision),
      ...population(status, 1),
      ...population('pending', -1),
    })
    expect((await rowOf(registered))?.status).toBe(status)
    expect(await auditOf(registered)).toEqual([
      'CLIENT_REGISTERED',
      `CLIENT_${decision.toUpperCase()}`,
    ])
    const again = await decide(registered, verb, { seen })
    expect(again.result.headers.get('location')).toBe('/admin/clients?notice=changed')
    expect(again.moved).toEqual({})
  })

  it('decides on what was looked at: a client that has changed since waits on', async () => {
    const decide = await operator()
    const registered = await register({}, strict)
    const seen = await seenOf(registered)
    expect((await put(registered, { client_name: 'Any bank' }, strict)).status).toBe(200)
    for (const fields of [
      { seen },
      {},
      { seen: '' },
      { seen: 'x' },
      { seen: '9'.repeat(15) },
    ] as Record<string, string>[])
      for (const verb of ['approve', 'reject']) {
        const { result, moved } = await decide(registered, verb, fields)
        expect(result.headers.get('location')).toBe('/admin/clients?notice=changed')
        expect(moved).toEqual({})
      }
    expect((await rowOf(registered))?.status).toBe('pending')
  })

  it('neither enables nor disables what waits', async () => {
    const decide = await operator()
    const registered = await register({}, strict)
    for (const verb of ['enable', 'disable']) {
      const { moved } = await decide(registered, verb)
      expect(moved).toEqual({})
    }
    expect((await rowOf(registered))?.status).toBe('pending')
  })

  it('can disable and enable what was approved', async () => {
    const decide = await operator()
    const registered = await register()
    await letIn(registered)
    expect((await decide(registered, 'disable')).moved).toMatchObject({
      ...decided('disabled'),
      'oauth_tokens_revoked_total{reason="client_inactive",token_type="access"}': 1,
    })
    expect((await decide(registered, 'enable')).moved).toMatchObject(decided('enabled'))
  })
})

describe('a registration access token that is none', () => {
  const methods = ['GET', 'PUT', 'DELETE'] as const
  const wrong: [string, (own: Registered, other: Registered) => Partial<Registered>][] = [
    ['no token', () => ({ registration_access_token: '' })],
    ['a made-up token', () => ({ registration_access_token: 'x'.repeat(43) })],
    [
      'the token of another client',
      (_, other) => ({ registration_access_token: other.registration_access_token }),
    ],
    ['the client secret', (own) => ({ registration_access_token: own.client_secret })],
    ['an unknown client', () => ({ client_id: crypto.randomUUID() })],
    ['a client_id of no shape', () => ({ client_id: '%01' })],
  ]
  const cases = wrong.flatMap(([what, change]) =>
    methods.map((method) => [what, method, change] as const),
  )
  it.each(cases)('%s gets nothing by %s', async (_, method, change) => {
    const own = await register()
    const asked = { ...own, ...change(own, await register()) }
    const body = method === 'PUT' ? { body: { ...metadata, client_id: own.client_id } } : {}
    const { result, moved } = await observeUnchanged(app, () => manage(method, asked, body))
    expect(result.headers.get('www-authenticate')).toMatch(/^Bearer realm="authgate"/)
    await expectError(result, 401, 'invalid_token')
    expect(moved).toEqual(unauthorized)
  })

  it('is what is left of that of a client that an operator made', async () => {
    const { client } = await addClient(app.database.db)
    for (const registration_access_token of ['', 'x', 'null']) {
      const asked = { client_id: client.clientId, registration_access_token }
      expect((await manage('DELETE', asked)).status).toBe(401)
    }
  })
})

describe('the limit', () => {
  it('counts those who register, change or fail by their address', async () => {
    const limited = await startTestApp({
      settings: {
        ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
        ENABLE_RATE_LIMIT: 'true',
        DYNAMIC_CLIENT_REGISTRATION_RATE_LIMIT: '3',
      },
      replicaOf: app,
    })
    const registered = await register({}, limited)
    await manage('GET', { ...registered, registration_access_token: 'x' }, { to: limited })
    await put(registered, {}, limited)
    for (const ask of [
      () => post(JSON.stringify(metadata), json, limited),
      () => put(registered, {}, limited),
      () => manage('DELETE', { ...registered, registration_access_token: 'x' }, { to: limited }),
    ]) {
      const { result, moved } = await observeUnchanged(limited, ask)
      await expectError(result, 429, 'rate_limit_exceeded')
      expect(result.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(moved).toMatchObject({
        'rate_limit_exceeded_total{endpoint="/oauth/register"}': 1,
      })
    }
    // Whoever proves to be the client may still look and leave.
    expect((await manage('GET', registered, { to: limited })).status).toBe(200)
    expect((await manage('DELETE', registered, { to: limited })).status).toBe(204)
    await limited.close()
  })
})

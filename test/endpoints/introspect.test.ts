import { eq } from 'drizzle-orm'
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import type { NewClient } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { basicAuth } from '../support/client.ts'
import { obtainCode, obtainTokens, postToken, redeemCode } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { createKey, keySetOf, signAssertion, signDpopProof } from '../support/proofs.ts'
import { observe, observeUnchanged } from './refusals.ts'

const orders = 'https://orders.example.test/'

let app: TestApp
let owner: Confidential
let server: Confidential
let stranger: Confidential
beforeAll(async () => {
  app = await startTestApp({ settings: { DPOP_REQUIRE_NONCE: 'false' } })
  owner = await addConfidential({
    scope: 'openid profile offline_access read',
    allowedResources: [orders],
    grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
  })
  server = await addConfidential({ servedResources: [orders, 'https://other.example.test/'] })
  stranger = await addConfidential()
})
afterAll(() => app.close())

interface Confidential {
  readonly id: string
  readonly secret: string
}

async function addConfidential(more: Partial<NewClient> = {}): Promise<Confidential> {
  const { client, secret = '' } = await addClient(app.database.db, {
    type: 'confidential',
    ...more,
  })
  return { id: client.clientId, secret }
}

const basic = ({ id, secret }: Confidential) => basicAuth(id, secret)

const form = { 'content-type': 'application/x-www-form-urlencoded' }

const send = (
  body: string,
  headers: Record<string, string> = {},
  to: Pick<TestApp, 'request'> = app,
) => to.request('/oauth/introspect', { method: 'POST', body, headers: { ...form, ...headers } })

const introspect = (caller: Confidential, token: string, more: Record<string, string> = {}) =>
  send(new URLSearchParams({ token, ...more }).toString(), basic(caller))

const answerOf = async (response: Response) => {
  expect(response.status).toBe(200)
  expect(response.headers.get('cache-control')).toBe('no-store')
  return (await response.json()) as Record<string, unknown>
}

const basicOk = {
  'authgate_client_authentications_total{method="client_secret_basic",result="success"}': 1,
}
const found = (result: string) => ({
  [`authgate_token_introspections_total{result="${result}"}`]: 1,
})
const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/introspect",error="${error}"}`]: 1,
})

async function walkIn() {
  const user = await addUser(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  return { user, browser }
}

/** A user's tokens, meant for `resources`. */
async function userTokens(...resources: string[]) {
  const { user, browser } = await walkIn()
  const asked = { scope: 'openid profile offline_access read' }
  const fields = { client_secret: owner.secret }
  const code = await obtainCode(browser, owner.id, asked)
  const answer = await (await redeemCode(app, owner.id, code, fields)).json()
  if (resources.length > 0)
    await app.database.db.update(tokens).set({ resources }).where(eq(tokens.userId, user.id))
  return { user, ...(answer as { access_token: string; refresh_token: string }) }
}

async function machineToken(more: Record<string, string> = {}, headers = {}) {
  const fields = { grant_type: 'client_credentials', ...more }
  const answer = await postToken(app, fields, { ...basic(owner), ...headers })
  return ((await answer.json()) as { access_token: string }).access_token
}

describe('POST /oauth/introspect for a token that is live', () => {
  it('tells its own client what the access token of a user is, in the words of the token itself', async () => {
    const { user, access_token } = await userTokens()
    const { result, moved } = await observeUnchanged(app, () => introspect(owner, access_token))
    const { sid, ...claims } = decodeJwt(access_token)
    expect(await answerOf(result)).toEqual({
      ...claims,
      active: true,
      token_type: 'Bearer',
      username: user.username,
    })
    expect(claims).toMatchObject({
      sub: user.id,
      client_id: owner.id,
      aud: app.config.server.baseUrl,
    })
    expect(moved).toEqual({ ...basicOk, ...found('active') })
  })

  it('tells of a refresh token to its own client, without a token type or an audience', async () => {
    const { user, refresh_token } = await userTokens()
    const { result, moved } = await observeUnchanged(app, () => introspect(owner, refresh_token))
    const { amr, acr, ...answer } = await answerOf(result)
    expect(answer).toEqual({
      active: true,
      iss: app.config.server.baseUrl,
      sub: user.id,
      client_id: owner.id,
      username: user.username,
      scope: 'openid profile offline_access read',
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: expect.any(Number),
      auth_time: expect.any(Number),
    })
    expect(moved).toEqual({ ...basicOk, ...found('active') })
  })

  it('names no user for a client that acts for itself', async () => {
    const answer = await answerOf(await introspect(owner, await machineToken()))
    expect(answer).toMatchObject({
      active: true,
      sub: owner.id,
      client_id: owner.id,
      scope: 'read',
    })
    expect(answer).not.toHaveProperty('username')
  })

  it('answers whoever serves a resource that the token was made for', async () => {
    const access = await machineToken({ resource: orders })
    expect(await answerOf(await introspect(server, access))).toMatchObject({
      active: true,
      aud: orders,
      client_id: owner.id,
    })
  })

  it('shows the key that the token is bound to (RFC 9449 §6.2)', async () => {
    const key = await createKey()
    const htu = `${app.config.server.baseUrl}/oauth/token`
    const dpop = await signDpopProof(key, { htm: 'POST', htu, now: app.now() })
    const answer = await answerOf(await introspect(owner, await machineToken({}, { dpop })))
    expect(answer).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt: key.jkt } })
  })

  it.each(['access_token', 'refresh_token', 'unheard-of'])(
    'finds either type of token under the hint %s',
    async (token_type_hint) => {
      const { access_token, refresh_token } = await userTokens()
      for (const token of [access_token, refresh_token])
        expect(await answerOf(await introspect(owner, token, { token_type_hint }))).toMatchObject({
          active: true,
        })
    },
  )

  it('gives the user of a pairwise client the name that this client knows them by', async () => {
    const { client } = await addClient(app.database.db, { subjectType: 'pairwise' })
    const { user, browser } = await walkIn()
    const { access_token } = await obtainTokens(app, browser, client.clientId)
    const row = { resources: [orders] }
    await app.database.db.update(tokens).set(row).where(eq(tokens.userId, user.id))
    const answer = await answerOf(await introspect(server, access_token))
    expect(answer['sub']).toBe(decodeJwt(access_token).sub)
    expect(answer['sub']).not.toBe(user.id)
  })
})

describe('POST /oauth/introspect with nothing to tell', () => {
  const inactive = async (caller: Confidential, token: string, result = 'inactive') => {
    const observed = await observeUnchanged(app, () => introspect(caller, token))
    expect(await answerOf(observed.result)).toEqual({ active: false })
    expect(observed.moved).toEqual({ ...basicOk, ...found(result) })
  }

  it('answers strangers that are not entitled exactly as if there were no such token', async () => {
    const access = await machineToken({ resource: orders })
    await inactive(stranger, access, 'not_entitled')
    await inactive(server, await machineToken(), 'not_entitled')
  })

  it('keeps refresh tokens between the client and us: a resource server is told nothing of them', async () => {
    const { access_token, refresh_token } = await userTokens(orders)
    expect(await answerOf(await introspect(server, access_token))).toMatchObject({ active: true })
    await inactive(server, refresh_token, 'not_entitled')
  })

  it.each([
    ['made up', 'made-up'],
    ['of three parts that are none', 'a.b.c'],
    ['of dots', '...'],
    ['very long', `${'x'.repeat(30_000)}.y.z`],
    ['of other letters', 'ключ'],
  ])('takes a token that is %s for an inactive one', (_, token) => inactive(owner, token))

  it('takes an ID token, and an access token of another server, for inactive ones', async () => {
    const { browser } = await walkIn()
    const { client } = await addClient(app.database.db)
    const { id_token } = await obtainTokens(app, browser, client.clientId)
    await inactive(owner, id_token)
    const access = await machineToken()
    await inactive(owner, `${access.slice(0, -6)}AAAAAA`)
  })

  it('says so of expired, revoked and rotated tokens, and of those whose user or client is inactive', async () => {
    const by = { origin: systemOrigin, now: app.now() }
    const { db } = app.database
    const expired = await userTokens()
    const past = new Date(app.now().getTime() - 1000)
    await db.update(tokens).set({ expiresAt: past }).where(eq(tokens.userId, expired.user.id))
    await inactive(owner, expired.access_token)
    await inactive(owner, expired.refresh_token)

    const rotated = await userTokens()
    const refresh = { grant_type: 'refresh_token', refresh_token: rotated.refresh_token }
    expect((await postToken(app, refresh, basic(owner))).status).toBe(200)
    await inactive(owner, rotated.refresh_token)

    const disabled = await userTokens()
    await disableUser(db, disabled.user.id, { actor: await addAdmin(db), ...by })
    await inactive(owner, disabled.access_token)
    await inactive(owner, disabled.refresh_token)

    const other = await addConfidential({
      grantTypes: ['client_credentials'],
      allowedResources: [orders],
    })
    const fields = { grant_type: 'client_credentials', resource: orders }
    const issued = await (await postToken(app, fields, basic(other))).json()
    await setClientStatus(db, { clientId: other.id, status: 'inactive' }, by)
    await inactive(server, (issued as { access_token: string }).access_token)
  })
})

describe('POST /oauth/introspect with a request that is none', () => {
  type Case = [
    string,
    () => [string, Record<string, string>],
    number,
    string,
    Record<string, number>,
  ]
  const failed = (method: string) => ({
    [`authgate_client_authentications_total{method="${method}",result="failure"}`]: 1,
  })
  const cases: Case[] = [
    ['no token', () => ['', basic(owner)], 400, 'invalid_request', basicOk],
    ['an empty token', () => ['token=', basic(owner)], 400, 'invalid_request', basicOk],
    ['a repeated token', () => ['token=a&token=b', basic(owner)], 400, 'invalid_request', {}],
    ['a NUL', () => ['token=%00', basic(owner)], 400, 'invalid_request', {}],
    [
      'another content type',
      () => ['{"token":"a"}', { ...basic(owner), 'content-type': 'application/json' }],
      400,
      'invalid_request',
      {},
    ],
    [
      'two ways of authentication',
      () => [`token=a&client_id=${owner.id}&client_secret=${owner.secret}`, basic(owner)],
      400,
      'invalid_request',
      {},
    ],
    ['no client', () => ['token=a', {}], 401, 'invalid_client', failed('client_secret_basic')],
    [
      'a client without its secret',
      () => [`token=a&client_id=${owner.id}`, {}],
      401,
      'invalid_client',
      failed('none'),
    ],
    [
      'a wrong secret in the header',
      () => ['token=a', basic({ ...owner, secret: 'wrong' })],
      401,
      'invalid_client',
      failed('client_secret_basic'),
    ],
    [
      'a wrong secret in the body',
      () => [`token=a&client_id=${owner.id}&client_secret=wrong`, {}],
      401,
      'invalid_client',
      failed('client_secret_post'),
    ],
    [
      'the secret of another client',
      () => ['token=a', basic({ id: owner.id, secret: stranger.secret })],
      401,
      'invalid_client',
      failed('client_secret_basic'),
    ],
    [
      'a bearer token',
      () => ['token=a', { authorization: 'Bearer a.b.c' }],
      401,
      'invalid_client',
      failed('client_secret_basic'),
    ],
  ]
  it.each(cases)('answers %s and changes nothing', async (_, request, status, error, more) => {
    const { result, moved } = await observeUnchanged(app, () => send(...request()))
    expect(result.status).toBe(status)
    expect(result.headers.get('cache-control')).toBe('no-store')
    expect(result.headers.get('content-type')).toMatch(/^application\/json/)
    expect(result.headers.has('www-authenticate')).toBe(status === 401)
    expect(await result.json()).toEqual({ error, error_description: expect.any(String) })
    expect(moved).toEqual({ ...errors(error), ...more })
  })

  it('refuses public clients: who merely names itself is told nothing', async () => {
    const { client } = await addClient(app.database.db)
    const body = `token=a&client_id=${client.clientId}`
    const { result, moved } = await observeUnchanged(app, () => send(body))
    expect([result.status, await result.json()]).toEqual([
      401,
      expect.objectContaining({ error: 'invalid_client' }),
    ])
    expect(moved).toEqual({ ...errors('invalid_client'), ...failed('none') })
  })

  it('answers GET with 405, so that no token comes to stand in an address', async () => {
    const response = await app.request('/oauth/introspect?token=a')
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
  })
})

describe('every way of client authentication', () => {
  it('takes the secret in the body', async () => {
    const body = new URLSearchParams({
      token: await machineToken(),
      client_id: owner.id,
      client_secret: owner.secret,
    })
    const { result, moved } = await observe(app, () => send(body.toString()))
    expect(await answerOf(result)).toMatchObject({ active: true })
    expect(moved).toEqual({
      'authgate_client_authentications_total{method="client_secret_post",result="success"}': 1,
      ...found('active'),
    })
  })

  it('takes a signed assertion for this endpoint, once', async () => {
    const key = await createKey()
    const { client } = await addClient(app.database.db, {
      type: 'confidential',
      tokenEndpointAuthMethod: 'private_key_jwt',
      jwks: keySetOf(key),
      servedResources: [orders],
    })
    const audience = `${app.config.server.baseUrl}/oauth/introspect`
    const assertion = await signAssertion(key, {
      clientId: client.clientId,
      audience,
      now: app.now(),
    })
    const body = new URLSearchParams({
      token: await machineToken({ resource: orders }),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    })
    expect(await answerOf(await send(body.toString()))).toMatchObject({ active: true })
    const { result } = await observeUnchanged(app, () => send(body.toString()))
    expect(result.status).toBe(401)
  })
})

describe('the signed answer (RFC 9701)', () => {
  const type = 'application/token-introspection+jwt'
  const signed = async (caller: Confidential, token: string, accept = type) => {
    const headers = { ...basic(caller), accept }
    const response = await send(new URLSearchParams({ token }).toString(), headers)
    expect([response.status, response.headers.get('content-type')]).toEqual([200, type])
    expect(response.headers.get('cache-control')).toBe('no-store')
    const jwks = (await (await app.request('/.well-known/jwks.json')).json()) as JSONWebKeySet
    return jwtVerify(await response.text(), createLocalJWKSet(jwks), {
      issuer: app.config.server.baseUrl,
      audience: caller.id,
      typ: 'token-introspection+jwt',
      currentDate: app.now(),
    })
  }

  it('holds the plain answer, for the caller alone, and cannot pass for a token', async () => {
    const access = await machineToken({ resource: orders })
    const { payload, protectedHeader } = await signed(server, access)
    expect(payload).toEqual({
      iss: app.config.server.baseUrl,
      aud: server.id,
      iat: expect.any(Number),
      token_introspection: await answerOf(await introspect(server, access)),
    })
    expect(protectedHeader.alg).toBe('ES256')
    const jwt = await send(new URLSearchParams({ token: access }).toString(), {
      ...basic(server),
      accept: type,
    })
    const shown = await app.request('/oauth/userinfo', {
      headers: { authorization: `Bearer ${await jwt.text()}` },
    })
    expect(shown.status).toBe(401)
  })

  it.each(['RS256', 'EdDSA'] as const)(
    'is signed with %s for a client registered so',
    async (alg) => {
      const caller = await addConfidential({ introspectionSignedResponseAlg: alg })
      const { payload, protectedHeader } = await signed(caller, 'made-up')
      expect(protectedHeader.alg).toBe(alg)
      expect(payload['token_introspection']).toEqual({ active: false })
    },
  )

  it('is found among other types, and plain JSON answers every other wish', async () => {
    await signed(owner, 'x', `text/html, ${type.toUpperCase()};q=0.9, */*;q=0.1`)
    for (const accept of ['application/json', '*/*', 'application/jwt', '']) {
      const response = await send('token=x', { ...basic(owner), accept })
      expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    }
  })

  it('leaves errors as plain JSON', async () => {
    const response = await send('', { ...basic(owner), accept: type })
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
  })
})

describe('INTROSPECTION_REQUIRE_OWNERSHIP=false', () => {
  it('lets every confidential client ask about every token, and nobody else', async () => {
    const open = await startTestApp({
      settings: { INTROSPECTION_REQUIRE_OWNERSHIP: 'false' },
      replicaOf: app,
    })
    const { access_token, refresh_token } = await userTokens()
    for (const token of [access_token, refresh_token]) {
      const body = new URLSearchParams({ token }).toString()
      expect(await answerOf(await send(body, basic(stranger), open))).toMatchObject({
        active: true,
      })
      expect((await send(body, {}, open)).status).toBe(401)
    }
    await open.close()
  })
})

describe('limits', () => {
  it('bound guessing by address, and let a proven client ask on', async () => {
    const limited = await startTestApp({
      settings: { ENABLE_RATE_LIMIT: 'true', INTROSPECT_RATE_LIMIT: '2', CLIENT_RATE_LIMIT: '4' },
      replicaOf: app,
    })
    const guess = () => send('token=x', basic({ ...owner, secret: 'guess' }), limited)
    const statuses = [await guess(), await guess(), await guess()].map(({ status }) => status)
    expect(statuses).toEqual([401, 401, 429])
    const ask = () => send('token=x', basic(owner), limited)
    const asked = [await ask(), await ask(), await ask(), await ask(), await ask()]
    expect(asked.map(({ status }) => status)).toEqual([200, 200, 200, 200, 429])
    const samples = await limited.samples()
    expect(samples.get('rate_limit_exceeded_total{endpoint="/oauth/introspect"}')).toBe(2)
    await limited.close()
  })
})

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { eq } from 'drizzle-orm'
import { type CryptoKey, exportJWK, importJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import type { NewClient } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { basicAuth, redirectUri } from '../support/client.ts'
import { obtainCode, postToken, redeemCode } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { createKey, inSeconds, keySetOf, type ProofKey, signAssertion } from '../support/proofs.ts'
import { observe, observeUnchanged } from './refusals.ts'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
let app: TestApp
let key: ProofKey
let clientId: string
beforeAll(async () => {
  app = await startTestApp({ settings: { OUTBOUND_PRIVATE_ADDRESSES: 'true' } })
  key = await createKey()
  clientId = await add({ jwks: keySetOf(key) })
})
afterAll(() => app.close())

async function add(more: Partial<NewClient>) {
  const { client, secret } = await addClient(app.database.db, {
    type: 'confidential',
    tokenEndpointAuthMethod: 'private_key_jwt',
    ...more,
  })
  expect(secret).toBeUndefined()
  return client.clientId
}

interface Signed {
  readonly by?: ProofKey
  readonly of?: string
  readonly audience?: string
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
}

const sign = ({
  by = key,
  of = clientId,
  audience = app.config.server.baseUrl,
  ...more
}: Signed = {}) => signAssertion(by, { clientId: of, audience, now: app.now(), ...more })

/** A request that fails for its code alone, once the client is known. */
const request = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
  postToken(
    app,
    {
      grant_type: 'authorization_code',
      code: 'none',
      redirect_uri: redirectUri,
      ...fields,
    },
    headers,
  )

const withAssertion = async (signed: Signed = {}, fields: Record<string, string> = {}) =>
  request({
    client_assertion_type: assertionType,
    client_assertion: await sign(signed),
    ...fields,
  })

const codeOf = async (response: Response) => ((await response.json()) as { error: string }).error

const authenticated = (result: string, method = 'private_key_jwt') => ({
  [`authgate_client_authentications_total{method="${method}",result="${result}"}`]: 1,
})
const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/token",error="${error}"}`]: 1,
})

async function expectRefused(
  step: () => Promise<Response>,
  error = 'invalid_client',
  more: Record<string, number> = authenticated('failure'),
) {
  const { result, moved } = await observeUnchanged(app, step)
  expect(result.status).toBe(error === 'invalid_client' ? 401 : 400)
  expect(await result.json()).toEqual({ error, error_description: expect.any(String) })
  expect(moved).toEqual({ ...errors(error), ...more })
}

describe('private_key_jwt', () => {
  it('authenticates a client that redeems a code, with and without its client_id', async () => {
    for (const fields of [{}, { client_id: clientId }]) {
      const user = await addUser(app.database.db)
      const browser = openBrowser(app)
      await browser.signIn(user.username)
      const code = await obtainCode(browser, clientId)
      const assertion = { client_assertion_type: assertionType, client_assertion: await sign() }
      const { result, moved } = await observe(app, () =>
        redeemCode(app, clientId, code, { ...assertion, ...fields }),
      )
      expect(result.status).toBe(200)
      expect(moved).toMatchObject(authenticated('success'))
    }
  })

  it('takes every algorithm that discovery lists', async () => {
    const metadata = await app.request('/.well-known/oauth-authorization-server')
    const { token_endpoint_auth_signing_alg_values_supported: algorithms } =
      (await metadata.json()) as Record<string, string[]>
    expect(algorithms).toEqual(['ES256', 'PS256', 'RS256', 'EdDSA', 'Ed25519'])
    for (const alg of algorithms ?? []) {
      const by = await createKey(alg)
      const of = await add({ jwks: keySetOf(by) })
      expect(await codeOf(await withAssertion({ of, by }))).toBe('invalid_grant')
    }
  })

  it('takes the issuer, the token endpoint, or both for its audience', async () => {
    const issuer = app.config.server.baseUrl
    for (const aud of [issuer, `${issuer}/oauth/token`, [issuer, `${issuer}/oauth/token`]])
      expect(await codeOf(await withAssertion({ claims: { aud } }))).toBe('invalid_grant')
  })

  it('takes the issuer alone from a client that has to push its requests (FAPI 2.0)', async () => {
    const of = await add({ jwks: keySetOf(key), requirePushedAuthorizationRequests: true })
    const issuer = app.config.server.baseUrl
    await expectRefused(() => withAssertion({ of, audience: `${issuer}/oauth/token` }))
    expect(await codeOf(await withAssertion({ of }))).toBe('invalid_grant')
  })

  const wrong: [string, Signed | (() => Promise<Signed>)][] = [
    ['another key', async () => ({ by: await createKey() })],
    [
      'another key under the id of the right one',
      async () => ({ by: { ...(await createKey()), jkt: key.jkt } }),
    ],
    ['another issuer', { claims: { iss: 'x' } }],
    ['another subject', { claims: { sub: 'x' } }],
    ['another audience', { audience: 'https://other.test' }],
    ['no end', { claims: { exp: undefined } }],
    ['an end in the past', { claims: { exp: 1 } }],
    ['an end next year', { claims: { exp: inSeconds(new Date(), 365 * 86_400) } }],
    ['no id', { claims: { jti: undefined } }],
  ]
  it.each(wrong)('is refused with %s, without telling what is wrong', async (_, signed) => {
    const more = typeof signed === 'function' ? await signed() : signed
    await expectRefused(() => withAssertion(more, { client_id: clientId }))
  })

  it('is refused for unknown, inactive and keyless clients, and for such as have another method', async () => {
    const { db } = app.database
    const inactive = await add({ jwks: keySetOf(key) })
    const by = { origin: systemOrigin, now: app.now() }
    await setClientStatus(db, { clientId: inactive, status: 'inactive' }, by)
    const keyless = await add({})
    const method = 'client_secret_basic' as const
    const secret = await addClient(db, {
      type: 'confidential',
      jwks: keySetOf(key),
      tokenEndpointAuthMethod: method,
    })
    const open = await addClient(db, { jwks: keySetOf(key) })
    for (const of of ['x', inactive, keyless, secret.client.clientId, open.client.clientId])
      await expectRefused(() => withAssertion({ of }))
    // The secret of that client goes on working, in both ways.
    const { client, secret: value = '' } = secret
    const post = { client_id: client.clientId, client_secret: value }
    expect(await codeOf(await request(post))).toBe('invalid_grant')
  })

  it('is the only method of a client that is registered for it', async () => {
    await expectRefused(
      () => request({ client_id: clientId }),
      'invalid_client',
      authenticated('failure', 'none'),
    )
    await expectRefused(
      () => request({ client_id: clientId, client_secret: '' }),
      'invalid_client',
      authenticated('failure', 'none'),
    )
    await expectRefused(
      () => request({ client_id: clientId, client_secret: 'x' }),
      'invalid_client',
      authenticated('failure', 'client_secret_post'),
    )
  })

  it('is refused beside another method, in half, or under another type', async () => {
    const assertion = await sign()
    const whole = { client_assertion_type: assertionType, client_assertion: assertion }
    const basic = basicAuth(clientId, 'x')
    const cases: [Record<string, string>, Record<string, string>?][] = [
      [{ ...whole, client_secret: 'x' }],
      [whole, basic],
      [{ client_assertion: assertion }],
      [{ client_assertion_type: assertionType, client_id: clientId }],
      [
        {
          ...whole,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
        },
      ],
    ]
    for (const [fields, headers] of cases)
      await expectRefused(() => request(fields, headers), 'invalid_request', {})
    expect(await codeOf(await request(whole))).toBe('invalid_grant')
  })

  it.each(['x', 'a.b.c', 'e30.e30.', `${'x'.repeat(9000)}.x.x`])(
    'is refused when the assertion is no JWT: %.12s',
    async (assertion) => {
      const fields = { client_assertion_type: assertionType, client_assertion: assertion }
      await expectRefused(() => request(fields))
      await expectRefused(() => request({ ...fields, client_id: clientId }))
    },
  )

  it('is refused when client_id names another client', async () => {
    const other = await add({ jwks: keySetOf(key) })
    await expectRefused(() => withAssertion({}, { client_id: other }))
  })

  it('is refused under another algorithm than the registered one', async () => {
    const rsa = await createKey('PS256')
    const of = await add({ jwks: { keys: [rsa.jwk] }, tokenEndpointAuthSigningAlg: 'PS256' })
    const signed = { by: rsa, of, header: { kid: undefined } }
    const privateKey = (await importJWK(await exportJWK(rsa.privateKey), 'RS256')) as CryptoKey
    await expectRefused(() =>
      withAssertion({ ...signed, by: { ...rsa, alg: 'RS256', privateKey } }),
    )
    await expectRefused(() => withAssertion({ ...signed, by: key }))
    expect(await codeOf(await withAssertion(signed))).toBe('invalid_grant')
  })

  it('accepts an assertion once, of fifty at the same time, on all replicas, and ever after', async () => {
    const replica = await startTestApp({ replicaOf: app })
    const fields = {
      client_assertion_type: assertionType,
      client_assertion: await sign(),
      grant_type: 'authorization_code',
      code: 'none',
      redirect_uri: 'x',
    }
    const { result, moved } = await observe(app, () =>
      Promise.all(
        Array.from({ length: 50 }, (_, at) =>
          postToken(at % 2 ? replica : app, fields).then(codeOf),
        ),
      ),
    )
    expect(result.filter((error) => error === 'invalid_grant')).toHaveLength(1)
    expect(result.filter((error) => error === 'invalid_client')).toHaveLength(49)
    expect(Object.values(moved).reduce((sum, count) => sum + count)).toBe(50)
    await expectRefused(() => postToken(app, fields))
    await replica.close()
  })

  it('reads the keys where the client publishes them, and notices new ones', async () => {
    let published = keySetOf(key)
    let asked = 0
    const server = createServer((_, response) => {
      asked += 1
      response.end(JSON.stringify(published))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const jwksUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
    const of = await add({ jwksUri })
    const { moved } = await observe(app, async () => {
      for (let times = 0; times < 3; times += 1)
        expect(await codeOf(await withAssertion({ of }))).toBe('invalid_grant')
    })
    expect(asked).toBe(1)
    expect(moved).toMatchObject({
      'authgate_outbound_requests_total{purpose="jwks",result="success"}': 1,
    })
    const next = await createKey()
    published = keySetOf(next)
    await expectRefused(() => withAssertion({ of, by: next }))
    app.advance(30_000)
    expect(await codeOf(await withAssertion({ of, by: next }))).toBe('invalid_grant')
    await expectRefused(() => withAssertion({ of }))
    server.close()
  })

  it('says no, and nothing more, when the keys cannot be had', async () => {
    const of = await add({ jwksUri: 'http://127.0.0.1:1/jwks' })
    const { result } = await observeUnchanged(app, () => withAssertion({ of }))
    expect(await codeOf(result)).toBe('invalid_client')
    await app.database.db.delete(clients).where(eq(clients.clientId, of))
  })
})

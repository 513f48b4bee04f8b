/**
 * The plan `oidcc-dynamic-certification-test-plan` with response_type code: clients that register themselves, prove
 * themselves with keys, and are checked at every step. Its `oidcc-discovery-endpoint-verification` is not met: it wants
 * the implicit grant (Discovery §3 asks it of dynamic providers), which RFC 9700 §2.1.2 advises against.
 */
import { createRemoteJWKSet, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  askUserinfo,
  expectErrorPage,
  expectTokenError,
  expectTokens,
  verifyIdToken,
} from '../../support/openid/checks.ts'
import {
  addressOf,
  authorizationRequest,
  authorize,
  type Client,
  callback,
  codeGrant,
  createClientKey,
  type Parameters,
  postRegistration,
  type Registration,
  randomText,
  register,
  registrationRequest,
  requestTokens,
  signAssertion,
} from '../../support/openid/client.ts'
import { runFlow } from '../../support/openid/flow.ts'
import { type Suite, startSuite } from '../../support/openid/suite.ts'

let suite: Suite
beforeAll(async () => {
  suite = await startSuite()
})
afterAll(() => suite?.end())

const enrol = (registration: Registration = {}) =>
  register(suite, { authentication: 'private_key_jwt', ...registration })

const visit = (client: Client, more: Parameters = {}, how = {}) =>
  suite
    .person()
    .visit(
      addressOf(suite.metadata.authorization_endpoint, authorizationRequest(client, more)),
      how,
    )

it('oidcc-server: signs in a client that just registered, whose key has no kid, and lets it go', async () => {
  const client = await enrol()
  expect(client.key.jwk).not.toHaveProperty('kid')
  expect(client.registered).toMatchObject({
    client_name: expect.stringMatching(/^OIDF conformance test/),
    contacts: ['certification@oidf.org'],
    token_endpoint_auth_method: 'private_key_jwt',
    registration_access_token: expect.stringMatching(/./),
    registration_client_uri: expect.stringMatching(new RegExp(`^${suite.issuer}/`)),
  })
  // VerifyDynamicRegistrationResponseClientCredentials.
  const { registered } = await register(suite)
  expect(registered).toMatchObject({
    client_secret: expect.any(String),
    client_secret_expires_at: 0,
  })
  await runFlow(suite, { client })
  // UnregisterDynamicallyRegisteredClient, after each module.
  const response = await fetch(String(client.registered['registration_client_uri']), {
    method: 'DELETE',
    headers: { authorization: `Bearer ${client.registered['registration_access_token']}` },
  })
  expect(response.status).toBe(204)
})

it('oidcc-idtoken-rs256: signs ID tokens with RS256 where that is asked for', async () => {
  // verifyIdToken insists on it.
  await runFlow(suite, {
    client: await enrol({ metadata: { id_token_signed_response_alg: 'RS256' } }),
  })
})

it('oidcc-userinfo-rs256: signs userinfo where that is asked for', async () => {
  const client = await enrol({ metadata: { userinfo_signed_response_alg: 'RS256' } })
  const { code } = await authorize(suite, { client, person: suite.person() })
  const { body } = await requestTokens(suite, client, codeGrant(client, { code }))
  const response = await askUserinfo(suite, body.access_token)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toMatch(/^application\/jwt/)
  const { payload } = await jwtVerify(
    await response.text(),
    createRemoteJWKSet(new URL(suite.metadata.jwks_uri)),
    { algorithms: ['RS256'], issuer: suite.issuer, audience: client.clientId },
  )
  expect(payload.sub).toMatch(/./)
  expect(payload).not.toHaveProperty('nonce')
})

describe('redirect URIs', () => {
  const withQuery = `${callback}?bar=foo`

  it('oidcc-ensure-redirect-uri-in-authorization-request: is never guessed', async () => {
    expectErrorPage(
      await visit(await enrol(), { redirect_uri: undefined }),
      /redirect_uri is missing/i,
    )
  })

  it('oidcc-redirect-uri-query-OK: keeps the query that was registered', async () => {
    const client = await enrol({ metadata: { redirect_uris: [withQuery] } })
    const { callback: sent } = await visit(client)
    expect(sent?.address.startsWith(`${withQuery}&`)).toBe(true)
    expect(sent?.parameters).toMatchObject({ bar: 'foo', code: expect.any(String) })
    const { code } = await authorize(suite, { client, person: suite.person() })
    expectTokens(await requestTokens(suite, client, codeGrant(client, { code })))
  })

  it.each([
    ['oidcc-redirect-uri-query-mismatch', withQuery, `${callback}?bar=baz`],
    ['oidcc-redirect-uri-query-added', callback, `${callback}?foo=bar`],
  ])('%s: is another address', async (_, registered, asked) => {
    const client = await enrol({ metadata: { redirect_uris: [registered] } })
    expectErrorPage(await visit(client, { redirect_uri: asked }), /redirect_uri is not registered/)
  })

  it('oidcc-redirect-uri-regfrag: cannot be registered with a fragment', async () => {
    const request = await registrationRequest({
      metadata: { redirect_uris: [`${callback}#foobar`] },
    })
    const response = await postRegistration(suite, request)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: 'invalid_redirect_uri' })
  })
})

describe('what people see of a client', () => {
  const about = {
    logo_uri: 'https://suite.example.test/images/logo.png',
    policy_uri: 'https://suite.example.test/policy',
    tos_uri: 'https://suite.example.test/tos',
  }
  it.each([
    ['oidcc-registration-logo-uri', `src="${about.logo_uri}"`],
    ['oidcc-registration-policy-uri', `href="${about.policy_uri}"`],
    ['oidcc-registration-tos-uri', `href="${about.tos_uri}"`],
  ])(
    '%s: the sign-in page shows it, and so does the one that asks for consent',
    async (_, part) => {
      const client = await enrol({ metadata: about })
      const { shown, pages } = await visit(client)
      expect(shown).toEqual(['login', 'consent'])
      for (const page of pages) expect(page).toContain(part)
      const { headers } = await visit(client, {}, { signIn: false })
      expect(headers.get('content-security-policy')).toContain('https://suite.example.test')
    },
  )

  it('a logo from elsewhere is not shown, since it may be of somebody else', async () => {
    const metadata = { logo_uri: 'https://bank.example/logo.png' }
    const { pages, headers } = await visit(await enrol({ metadata }), {}, { signIn: false })
    expect(pages.join('')).not.toContain('bank.example')
    expect(headers.get('content-security-policy')).not.toContain('bank.example')
  })
})

describe('keys that are published', () => {
  it('oidcc-registration-jwks-uri: are fetched', async () => {
    const key = await createClientKey('RS256', randomText())
    const address = suite.web.publish('/jwks-once', { keys: [key.jwk] })
    const client = await enrol({ key, metadata: { jwks: undefined, jwks_uri: address } })
    await runFlow(suite, { client })
  })

  it('oidcc-refresh-token-rp-key-rotation: are looked up again once the client has new ones', async () => {
    const [before, after] = [
      await createClientKey('RS256', 'a'),
      await createClientKey('RS256', 'b'),
    ]
    const address = suite.web.publish('/jwks', { keys: [before.jwk] })
    const grants = ['authorization_code', 'refresh_token']
    const metadata = { jwks: undefined, jwks_uri: address, grant_types: grants }
    const client = await enrol({ key: before, metadata })
    const more = { scope: 'openid offline_access', prompt: 'consent' }
    const { tokens } = await runFlow(suite, { client, more })
    suite.web.publish('/jwks', { keys: [after.jwk] })
    // The suite waits a minute, so as not to be taken for a flood; half of it has to do.
    await new Promise((resolve) => {
      setTimeout(resolve, 31_000)
    })
    const refreshed = await requestTokens(
      suite,
      { ...client, key: after },
      { grant_type: 'refresh_token', refresh_token: tokens.body.refresh_token },
    )
    expectTokens(refreshed)
    expect((await askUserinfo(suite, refreshed.body.access_token)).status).toBe(200)
  })
})

describe('sector identifiers', () => {
  const pairwise = (listed: readonly string[]) => ({
    subject_type: 'pairwise',
    sector_identifier_uri: suite.web.publish('/redirect_uris.json', listed),
  })

  it('oidcc-registration-sector-uri: a list that names the redirect URI is taken', async () => {
    expect(suite.metadata['subject_types_supported']).toContain('pairwise')
    const client = await enrol({ metadata: pairwise([callback]) })
    const { claims } = await runFlow(suite, { client })
    const { claims: elsewhere } = await runFlow(suite, { client: await enrol() })
    expect(claims.sub).not.toBe(elsewhere.sub)
  })

  it('oidcc-registration-sector-bad: a list that does not is refused', async () => {
    const request = await registrationRequest({
      authentication: 'private_key_jwt',
      metadata: pairwise(['https://example.com/']),
    })
    const response = await postRegistration(suite, request)
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    expect(await response.json()).toMatchObject({ error: 'invalid_client_metadata' })
  })
})

it('oidcc-refresh-token: a client that proves itself with a key refreshes, another one does not', async () => {
  const grants = { metadata: { grant_types: ['authorization_code', 'refresh_token'] } }
  const [client, other] = [await enrol(grants), await enrol(grants)]
  const more = { scope: 'openid offline_access', prompt: 'consent' }
  const { tokens } = await runFlow(suite, { client, more })
  const grant = { grant_type: 'refresh_token', refresh_token: tokens.body.refresh_token }
  expectTokenError(await requestTokens(suite, other, grant), 'invalid_grant')
  expectTokens(await requestTokens(suite, client, grant))
})

it('oidcc-ensure-client-assertion-with-iss-aud-succeeds: an assertion may be meant for the issuer', async () => {
  const client = await enrol()
  const { code } = await authorize(suite, { client, person: suite.person() })
  const assertion = await signAssertion(suite, client, { aud: suite.issuer })
  const tokens = await requestTokens(suite, client, codeGrant(client, { code }), { assertion })
  expectTokens(tokens)
})

it('oidcc-server-rotate-keys: a restart with a shorter interval publishes new keys beside the old ones', async () => {
  const own = await startSuite()
  try {
    const kidsOf = async () => {
      const { keys } = (await (await fetch(own.metadata.jwks_uri)).json()) as {
        keys: { kid: string }[]
      }
      return keys.map(({ kid }) => kid)
    }
    const before = await kidsOf()
    // A key is due once it is as old as the interval is longer than the time ahead: a second.
    await new Promise((resolve) => {
      setTimeout(resolve, 2000)
    })
    await own.server.stop()
    await own.home.start({ JWT_KEY_PUBLISH_AHEAD: '10m', JWT_KEY_ROTATION_INTERVAL: '601s' })
    // The sweeper publishes them, some time after the server listens.
    const after = await vi.waitUntil(
      async () => {
        const kids = await kidsOf()
        return kids.length > before.length && kids
      },
      { timeout: 30_000, interval: 200 },
    )
    expect(after).toEqual(expect.arrayContaining(before))
  } finally {
    await own.end()
  }
})

describe('request objects', () => {
  const sign = (client: Client, claims: Record<string, unknown>) =>
    new SignJWT({ ...claims, iss: client.clientId, aud: suite.issuer })
      .setProtectedHeader({ alg: client.key.alg })
      .sign(client.key.privateKey)

  it('oidcc-request-uri-signed-rs256: is fetched from where it was registered, and says what counts', async () => {
    expect(suite.metadata).toMatchObject({
      request_uri_parameter_supported: true,
      request_object_signing_alg_values_supported: expect.arrayContaining(['RS256']),
    })
    const path = `/requesturi/${randomText(96)}`
    const request_uri = suite.web.origin + path
    const client = await enrol({
      metadata: { request_uris: [request_uri], request_object_signing_alg: 'RS256' },
    })
    const request = authorizationRequest(client)
    suite.web.publish(path, await sign(client, request), 'application/jose')
    const { state: _, nonce: __, ...beside } = request
    const address = addressOf(suite.metadata.authorization_endpoint, { ...beside, request_uri })
    const { callback: sent } = await suite.person().visit(address)
    expect(sent?.parameters).toMatchObject({ state: request['state'], code: expect.any(String) })
    const tokens = await requestTokens(suite, client, {
      ...codeGrant(client, { code: sent?.parameters['code'] ?? '' }),
    })
    expectTokens(tokens)
    await verifyIdToken(suite, { client, tokens, nonce: request['nonce'] })
  })

  it('oidcc-request-uri-unsigned: is skipped, since requests have to be signed', () => {
    expect(suite.metadata['request_object_signing_alg_values_supported']).not.toContain('none')
  })

  it('oidcc-ensure-request-object-with-redirect-uri: the redirect URI inside counts, a wrong one outside does not', async () => {
    const client = await enrol({ metadata: { request_object_signing_alg: 'RS256' } })
    const inside = authorizationRequest(client)
    const address = addressOf(suite.metadata.authorization_endpoint, {
      ...inside,
      redirect_uri: 'https://elsewhere.example.test/',
      request: await sign(client, inside),
    })
    const { callback: sent } = await suite.person().visit(address)
    expect(sent?.address.startsWith(`${callback}?`)).toBe(true)
    expect(sent?.parameters['state']).toBe(inside['state'])
  })
})

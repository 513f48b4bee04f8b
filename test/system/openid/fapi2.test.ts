/**
 * The plan `fapi2-security-profile-final-test-plan` with private_key_jwt and DPoP, as plain OAuth and with OpenID Connect:
 * names of modules without their common beginning `fapi2-security-profile-final-`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectErrorAnswer, expectErrorPage } from '../../support/openid/checks.ts'
import {
  addressOf,
  authorizationRequest,
  type Parameters,
  pkce,
  randomText,
} from '../../support/openid/client.ts'
import {
  type Answer,
  authenticated,
  type Changes,
  call,
  callbackWithQuery,
  exchange,
  type FapiClient,
  obtainGrant,
  push,
  registerFapi,
  visit,
} from '../../support/openid/fapi.ts'
import { type Suite, startSuite } from '../../support/openid/suite.ts'
import { createKey, type Proof } from '../../support/proofs.ts'

let suite: Suite
beforeAll(async () => {
  // The lifetime of a pushed request is waited for.
  suite = await startSuite({ PUSHED_REQUEST_EXPIRATION: '5s' })
})
afterAll(() => suite?.end())

const pause = (milliseconds: number) =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })

const inSeconds = (more: number) => Math.floor(Date.now() / 1000) + more
const at = (more: number): Partial<Proof> => ({ claims: { iat: inSeconds(more) } })

function expectError({ status, headers, body }: Answer, statuses: number[], ...errors: string[]) {
  expect({ status, error: body.error }).toEqual({ status, error: body.error })
  expect(statuses).toContain(status)
  expect(errors).toContain(body.error)
  expect(headers.get('content-type')).toMatch(/^application\/json/)
}

describe.each([
  ['openid_connect', 'openid offline_access'],
  ['plain_oauth', 'profile offline_access'],
])('%s', (kind, scope) => {
  let client: FapiClient
  let other: FapiClient
  let resource: string
  beforeAll(async () => {
    client = await registerFapi(suite, scope)
    other = { ...(await registerFapi(suite, scope)), redirectUri: callbackWithQuery }
    // The userinfo endpoint wants the scope openid.
    resource =
      kind === 'openid_connect'
        ? suite.metadata.userinfo_endpoint
        : `${suite.issuer}/oauth/tokeninfo`
  })

  const ask = (
    token: string,
    {
      scheme = 'DPoP',
      headers = {},
      key = client.dpop,
      proof = {},
      address = resource,
    }: {
      scheme?: string
      headers?: Record<string, string>
      key?: FapiClient['dpop'] | undefined
      proof?: Partial<Proof>
      address?: string
    } = {},
  ) =>
    call(address, {
      method: 'GET',
      headers: { authorization: `${scheme} ${token}`, ...headers },
      key,
      proof: { htu: resource, accessToken: token, ...proof },
    })

  async function tokens(who = client, options: Parameters2 = {}) {
    const { grant } = await obtainGrant(suite, who, options)
    const answer = await exchange(suite, who, grant)
    expect(answer).toMatchObject({ status: 200, body: { token_type: 'DPoP' } })
    expect('id_token' in answer.body).toBe(kind === 'openid_connect')
    return {
      grant,
      answer,
      access: String(answer.body['access_token']),
      refresh: String(answer.body['refresh_token']),
    }
  }
  type Parameters2 = NonNullable<globalThis.Parameters<typeof obtainGrant>[2]>

  it('happy-flow: two clients, their own tokens, every sort of Accept header, none in the query', async () => {
    const first = await tokens()
    for (const accept of ['application/json; charset=utf-8', 'application/json, */*', '*/*']) {
      const headers = { accept, 'x-fapi-interaction-id': crypto.randomUUID() }
      const answer = await ask(first.access, { headers })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('date')).toBeTruthy()
    }
    const inQuery = `${resource}?access_token=${first.access}`
    expect([400, 401]).toContain((await call(inQuery, { method: 'GET', key: client.dpop })).status)
    const more = { state: randomText(128), dpop_jkt: other.dpop.jkt }
    const { grant, outcome } = await obtainGrant(suite, other, { more })
    expect(outcome.callback?.parameters).toMatchObject({ dummy1: 'lorem', dummy2: 'ipsum' })
    const second = await exchange(suite, other, grant)
    expect(second.status).toBe(200)
    expect((await ask(String(second.body['access_token']))).status).toBe(401)
  })

  it.each<[string, Parameters]>([
    ['ensure-authorization-request-without-state-success', { state: undefined }],
    ['ensure-authorization-request-without-nonce-success', { nonce: undefined }],
    ['ensure-request-object-with-64-char-nonce-success', { nonce: randomText(64) }],
    ['ensure-request-object-with-long-nonce', { nonce: randomText(384) }],
    ['ensure-request-object-with-long-state', { state: randomText(384) }],
    ['ensure-other-scope-order-succeeds', { scope: scope.split(' ').reverse().join(' ') }],
  ])('%s', async (_, more) => {
    const { grant, outcome } = await obtainGrant(suite, client, { more })
    if ('state' in more) expect(outcome.callback?.parameters['state']).toBe(more['state'])
    expect((await exchange(suite, client, grant)).status).toBe(200)
  })

  it('access-token-type-header-case-sensitivity: the scheme has none', async () => {
    const { access } = await tokens()
    expect((await ask(access, { scheme: 'dPOp' })).status).toBe(200)
  })

  it.each<[string, () => Partial<Proof>]>([
    ['check-dpop-proof-nbf-exp', () => ({ claims: { nbf: inSeconds(0), exp: inSeconds(300) } })],
    [
      'check-dpop-proof-nbf-exp, by a clock that is ahead',
      () => ({ claims: { nbf: inSeconds(8) } }),
    ],
    ['ensure-dpopproof-with-iat-10seconds-before-succeeds', () => at(-10)],
    ['ensure-dpopproof-with-iat-10seconds-after-succeeds', () => at(8)],
  ])('%s', async (_, proofOf) => {
    const { grant } = await obtainGrant(suite, client, { key: client.dpop, proof: proofOf() })
    const answer = await exchange(suite, client, grant, { proof: proofOf() })
    expect(answer.status).toBe(200)
    const { access_token: access } = answer.body
    expect((await ask(String(access), { proof: proofOf() })).status).toBe(200)
  })

  describe('codes are bound to keys', () => {
    it('ensure-mismatched-dpop-jkt-fails', async () => {
      const more = { dpop_jkt: (await createKey()).jkt }
      const { answer } = await push(suite, client, { more, key: client.dpop })
      expectError(answer, [400], 'invalid_request', 'invalid_dpop_proof')
    })

    it('ensure-dpop-auth-code-binding-success, ensure-dpop-proof-at-par-endpoint-binding-success', async () => {
      for (const more of [{ dpop_jkt: client.dpop.jkt }, {}]) {
        const { grant } = await obtainGrant(suite, client, { more, key: client.dpop })
        expect((await exchange(suite, client, grant)).status).toBe(200)
      }
    })

    it('ensure-token-endpoint-fails-with-mismatched-dpop-(proof-)jkt', async () => {
      const key = await createKey()
      for (const options of [{ key: client.dpop }, { more: { dpop_jkt: client.dpop.jkt } }]) {
        const { grant } = await obtainGrant(suite, client, options)
        const answer = await exchange(suite, client, grant, { key })
        expectError(answer, [400], 'invalid_request', 'invalid_grant', 'invalid_dpop_proof')
      }
    })
  })

  it('what stands beside the request_uri is not used: state, nonce; nothing need stand there', async () => {
    const beside: [Parameters, Parameters][] = [
      [{}, { state: 'another', nonce: 'another' }],
      [{ state: undefined }, { state: 'another' }],
      [{}, { redirect_uri: undefined, scope: undefined, response_type: undefined }],
    ]
    for (const [inside, outside] of beside) {
      const pushed = await push(suite, client, { more: inside })
      const { callback } = await visit(suite, suite.person(), pushed, outside)
      expect(callback?.parameters['state']).toBe(pushed.parameters['state'])
      expect(callback?.parameters['code']).toBeTruthy()
    }
  })

  it.each<[string, Parameters, string[]]>([
    [
      'ensure-redirect-uri-in-authorization-request',
      { redirect_uri: undefined },
      ['invalid_request'],
    ],
    [
      'plain-fapi-ensure-registered-redirect-uri',
      { redirect_uri: `${callbackWithQuery}x` },
      ['invalid_request'],
    ],
    [
      'ensure-response-type-code-idtoken-fails',
      { response_type: 'code id_token' },
      ['unsupported_response_type'],
    ],
    ['ensure-response-type-token-fails', { response_type: 'token' }, ['unsupported_response_type']],
    [
      'par-ensure-pkce-required',
      { code_challenge: undefined, code_challenge_method: undefined },
      ['invalid_request'],
    ],
    [
      'par-ensure-plain-pkce-rejected',
      { code_challenge: randomText(64), code_challenge_method: 'plain' },
      ['invalid_request'],
    ],
    [
      'par-authorization-request-containing-request_uri-form-param',
      { request_uri: 'urn:ietf:params:oauth:request_uri:x' },
      ['invalid_request'],
    ],
  ])('%s', async (_, more, errors) => {
    expectError((await push(suite, client, { more })).answer, [400], ...errors)
  })

  it('par-attempt-invalid-http-method', async () => {
    const endpoint = suite.metadata.pushed_authorization_request_endpoint
    expect((await fetch(endpoint, { method: 'PUT' })).status).toBe(405)
  })

  it('ensure-unsigned-authorization-request-without-using-par-fails', async () => {
    const request = authorizationRequest(client, { scope, ...pkce().parameters })
    const address = addressOf(suite.metadata.authorization_endpoint, request)
    const outcome = await suite.person().visit(address)
    expectErrorAnswer(suite, outcome, {
      state: request['state'] ?? '',
      errors: ['invalid_request'],
    })
  })

  describe('a request_uri', () => {
    it('is good until the sign-in is answered (par-ensure-reused-request-uri-prior-to-auth-completion-succeeds), then no more (par-attempt-reuse-request_uri)', async () => {
      const pushed = await push(suite, client)
      await visit(suite, suite.person(), pushed)
      const again = await push(suite, client)
      const address = addressOf(suite.metadata.authorization_endpoint, {
        client_id: client.clientId,
        request_uri: again.requestUri,
      })
      const person = suite.person()
      expect((await person.visit(address, { signIn: false })).shown).toEqual(['login'])
      expect((await person.visit(address)).callback?.parameters['code']).toBeTruthy()
      expectErrorPage(await person.visit(address), /expired or was used/)
    })

    it('par-attempt-to-use-expired-request_uri', async () => {
      const pushed = await push(suite, client)
      await pause((Number(pushed.answer.body['expires_in']) + 1) * 1000)
      expectErrorPage(await visit(suite, suite.person(), pushed), /expired/)
    })

    it('par-attempt-to-use-request_uri-for-different-client', async () => {
      const pushed = await push(suite, client)
      const outcome = await visit(suite, suite.person(), pushed, { client_id: other.clientId })
      expectErrorPage(outcome, /request_uri/)
    })
  })

  describe('assertions', () => {
    const ofClient = ['invalid_client', 'invalid_request']
    it.each<[string, () => Changes]>([
      [
        'par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails',
        () => ({ claims: { iat: inSeconds(70), nbf: inSeconds(70), exp: inSeconds(130) } }),
      ],
      [
        'par-test-array-as-audience-fails',
        () => ({ claims: { aud: [suite.issuer, 'https://other.example'] } }),
      ],
      [
        'par-test-par-endpoint-as-audience-fails',
        () => ({ claims: { aud: suite.metadata.pushed_authorization_request_endpoint } }),
      ],
      [
        'par-test-token-endpoint-as-audience-fails',
        () => ({ claims: { aud: suite.metadata.token_endpoint } }),
      ],
    ])('%s', async (_, changesOf) => {
      expectError(
        (await push(suite, client, { changes: changesOf() })).answer,
        [400, 401],
        ...ofClient,
      )
    })

    it('par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted', async () => {
      const changes = { claims: { iat: inSeconds(8), nbf: inSeconds(8) } }
      expect((await push(suite, client, { changes })).answer.status).toBe(201)
    })

    it.each<[string, () => Changes]>([
      [
        'ensure-client-assertion-in-token-endpoint',
        () => ({ fields: { client_id: client.clientId } }),
      ],
      [
        'ensure-client-assertion-with-exp-is-5-minutes-in-past-fails',
        () => ({ claims: { iat: inSeconds(-360), exp: inSeconds(-300) } }),
      ],
      [
        'ensure-client-assertion-with-wrong-aud-fails',
        () => ({ claims: { aud: 'https://other.example' } }),
      ],
      ['ensure-client-assertion-with-no-sub-fails', () => ({ claims: { sub: undefined } })],
      ['ensure-client-id-in-token-endpoint', () => ({ client: { ...other, key: client.key } })],
    ])('%s', async (_, changesOf) => {
      const { grant } = await obtainGrant(suite, client)
      const answer = await exchange(suite, client, grant, { changes: changesOf() })
      expectError(answer, [400, 401], ...ofClient)
    })
  })

  describe('the token endpoint', () => {
    it('ensure-holder-of-key-required', async () => {
      const { grant } = await obtainGrant(suite, client)
      const fields = await authenticated(suite, client, grant)
      const answer = await call(suite.metadata.token_endpoint, { fields })
      expectError(answer, [400], 'invalid_request', 'invalid_dpop_proof')
    })

    it('ensure-authorization-code-is-bound-to-client', async () => {
      const { grant } = await obtainGrant(suite, client)
      expectError(await exchange(suite, other, grant), [400], 'invalid_grant')
    })

    it('attempt-reuse-authorization-code-after-one-second', async () => {
      const { grant, access } = await tokens()
      await pause(1000)
      expectError(await exchange(suite, client, grant), [400], 'invalid_grant')
      expect((await ask(access)).status).toBe(401)
    })

    it('ensure-pkce-code-verifier-required, par-incorrect-pkce-code-verifier-rejected', async () => {
      for (const verifier of [{}, { code_verifier: randomText(64) }]) {
        const {
          grant: { code_verifier: _, ...grant },
        } = await obtainGrant(suite, client)
        expectError(
          await exchange(suite, client, { ...grant, ...verifier } as Record<string, string>),
          [400],
          'invalid_grant',
        )
      }
    })
  })

  it('refresh-token: stays the same, needs a proof, takes any key of its client, and no other client', async () => {
    const { access, refresh } = await tokens()
    const grant = { grant_type: 'refresh_token', refresh_token: refresh }
    for (const fields of [{ scope }, {}]) {
      const key = await createKey()
      const answer = await exchange(suite, client, { ...grant, ...fields }, { key })
      expect(answer).toMatchObject({ status: 200, body: { token_type: 'DPoP' } })
      expect(answer.body['refresh_token'] ?? refresh).toBe(refresh)
      const renewed = String(answer.body['access_token'])
      expect(renewed).not.toBe(access)
      expect((await ask(renewed, { key })).status).toBe(200)
    }
    const fields = await authenticated(suite, client, grant)
    expectError(
      await call(suite.metadata.token_endpoint, { fields }),
      [400],
      'invalid_request',
      'invalid_grant',
    )
    expectError(await exchange(suite, other, grant), [400], 'invalid_grant')
  })

  it('dpop-negative-tests: the resource takes proofs for what they are, and nothing less', async () => {
    const { access } = await tokens()
    const wrong: Partial<Proof>[] = [
      { header: { typ: undefined } },
      { header: { typ: 'dpop+jwt+wrongyousee' } },
      { header: { jwk: undefined } },
      { claims: { jti: undefined } },
      { claims: { htm: undefined } },
      { claims: { htu: undefined } },
      { claims: { iat: undefined } },
      { claims: { ath: undefined } },
      { claims: { ath: 'wrong' } },
      { htm: 'PUT' },
      { htu: `${resource}ohnonotagain` },
    ]
    for (const proof of wrong)
      expect([proof, (await ask(access, { proof })).status]).toEqual([proof, 401])
    expect((await ask(access, { key: await createKey() })).status).toBe(401)
    const noJwt = { authorization: `DPoP ${access}`, dpop: 'no.jwt' }
    expect((await call(resource, { method: 'GET', headers: noJwt })).status).toBe(401)
    const right: Partial<Proof>[] = [
      { htu: `${resource}?all#doors` },
      { htu: resource.replace('http://localhost', 'HTTP://LOCALHOST') },
      { header: { tx_id: 1 }, claims: { tx_id_key: 1 } },
      {},
    ]
    for (const proof of right)
      expect([proof, (await ask(access, { proof })).status]).toEqual([proof, 200])
    const jti = { claims: { jti: randomText(15) } }
    expect((await ask(access, { proof: jti })).status).toBe(200)
    expect((await ask(access, { proof: jti })).status).toBe(401)
    for (const scheme of ['DPoP', 'Bearer']) {
      const answer = await call(resource, {
        method: 'GET',
        headers: { authorization: `${scheme} ${access}` },
      })
      expect(answer.status).toBe(401)
    }
  })
})

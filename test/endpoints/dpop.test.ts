import { eq } from 'drizzle-orm'
import { decodeJwt } from 'jose'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorizationCodes } from '#/database/schema/authorization-codes.ts'
import type { NewClient } from '#/domain/clients/clients.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { obtainCode, postToken, redeemCode, verifier } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import {
  createKey,
  inSeconds,
  keySetOf,
  type Proof,
  type ProofKey,
  signAssertion,
  signDpopProof,
} from '../support/proofs.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
/** Another replica, that wants no nonces. */
let lax: TestApp
let browser: Browser
let clientId: string
let key: ProofKey
let other: ProofKey
beforeAll(async () => {
  app = await startTestApp()
  lax = await startTestApp({ replicaOf: app, settings: { DPOP_REQUIRE_NONCE: 'false' } })
  const user = await addUser(app.database.db)
  browser = openBrowser(app)
  await browser.signIn(user.username)
  clientId = await add()
  key = await createKey()
  other = await createKey('EdDSA')
})
afterAll(async () => {
  await lax.close()
  await app.close()
})

const add = async (more: Partial<NewClient> = {}) =>
  (await addClient(app.database.db, more)).client.clientId

/** As any answer to a proof tells it. */
async function learnNonce(at = app) {
  const dpop = await sign({ nonce: undefined })
  const nonce = (await postToken(at, {}, { dpop })).headers.get('dpop-nonce')
  if (nonce === null) throw new Error('the answer has no nonce')
  return nonce
}

interface Signed extends Partial<Proof> {
  readonly by?: ProofKey
  readonly path?: string
}

const sign = ({ by = key, path = '/oauth/token', ...more }: Signed = {}) =>
  signDpopProof(by, {
    htm: 'POST',
    htu: `${app.config.server.baseUrl}${path}`,
    now: app.now(),
    ...more,
  })

const prove = async (more: Signed = {}) => sign({ nonce: await learnNonce(), ...more })

interface TokenAnswer {
  readonly token_type: string
  readonly access_token: string
  readonly refresh_token: string
}

async function obtain(more: { of?: string; by?: ProofKey; fields?: Record<string, string> } = {}) {
  const { of = clientId, by = key, fields = {} } = more
  const code = await obtainCode(browser, of)
  const response = await redeem(code, await prove({ by }), of, fields)
  expect(response.status).toBe(200)
  return (await response.json()) as TokenAnswer
}

const redeem = (code: string, dpop: string, of = clientId, fields: Record<string, string> = {}) =>
  redeemCode(sending(dpop), of, code, fields)

/** The app, with the proof in the header of each request. */
const sending = (dpop: string, at = app): Pick<TestApp, 'request'> => ({
  request: (path, init) => at.request(path, { ...init, headers: { ...init?.headers, dpop } }),
})

const jktOf = (accessToken: string) =>
  (decodeJwt(accessToken)['cnf'] as { jkt: string } | undefined)?.jkt

const refresh = async (token: string, signed: Signed | undefined, fields = {}) =>
  postToken(
    app,
    { grant_type: 'refresh_token', refresh_token: token, client_id: clientId, ...fields },
    signed ? { dpop: await prove(signed) } : {},
  )

const proofs = (result: string, count = 1) => ({
  [`authgate_dpop_proofs_total{result="${result}"}`]: count,
})
const errors = (error: string, endpoint = '/oauth/token') => ({
  [`authgate_oauth_errors_total{endpoint="${endpoint}",error="${error}"}`]: 1,
})
const publicOk = { 'authgate_client_authentications_total{method="none",result="success"}': 1 }

async function expectError(response: Response, error: string) {
  expect(response.status).toBe(400)
  expect(await response.json()).toEqual({ error, error_description: expect.any(String) })
}

it('openid-client gets along: a signed assertion, bound tokens, userinfo and refresh', async () => {
  const of = await add({
    type: 'confidential',
    tokenEndpointAuthMethod: 'private_key_jwt',
    jwks: keySetOf(key),
    dpopBoundAccessTokens: true,
  })
  const config = await openid.discovery(
    new URL(app.config.server.baseUrl),
    of,
    undefined,
    openid.PrivateKeyJwt({ key: key.privateKey, kid: key.jkt }),
    {
      execute: [openid.allowInsecureRequests],
      [openid.customFetch]: (url, init) => {
        const { pathname, search } = new URL(url)
        return app.request(pathname + search, { ...init, body: init.body?.toString() ?? null })
      },
    },
  )
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('EdDSA'))
  const code = await obtainCode(browser, of, { nonce: '' })
  const back = new URL(
    `https://app.example.test/callback?code=${code}&iss=${app.config.server.baseUrl}`,
  )
  const checks = { pkceCodeVerifier: verifier, idTokenExpected: true }
  const tokens = await openid.authorizationCodeGrant(config, back, checks, {}, { DPoP })
  expect(tokens.token_type).toBe('dpop')
  const subject = tokens.claims()?.sub ?? ''
  expect(await openid.fetchUserInfo(config, tokens.access_token, subject, { DPoP })).toMatchObject({
    sub: subject,
  })
  const next = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '', {}, { DPoP })
  expect(next.token_type).toBe('dpop')
})

describe('POST /oauth/token with a DPoP proof', () => {
  it('asks for a nonce first, uses nothing up meanwhile, and binds the tokens to the key', async () => {
    const code = await obtainCode(browser, clientId)
    const first = await observeUnchanged(app, async () => redeem(code, await sign()))
    await expectError(first.result, 'use_dpop_nonce')
    expect(first.moved).toEqual({ ...proofs('nonce_missing'), ...errors('use_dpop_nonce') })
    const nonce = first.result.headers.get('dpop-nonce') ?? ''

    const second = await observe(app, async () => redeem(code, await sign({ nonce })))
    expect(second.result.status).toBe(200)
    expect(second.result.headers.get('dpop-nonce')).toMatch(/^[\w-]{43}$/)
    expect(second.moved).toMatchObject(proofs('accepted'))
    const answer = (await second.result.json()) as TokenAnswer
    expect(answer.token_type).toBe('DPoP')
    expect(jktOf(answer.access_token)).toBe(key.jkt)
  })

  it('takes every algorithm that discovery lists', async () => {
    const metadata = await app.request('/.well-known/oauth-authorization-server')
    const { dpop_signing_alg_values_supported: algorithms = [] } =
      (await metadata.json()) as Record<string, string[]>
    expect(algorithms).toEqual(['ES256', 'PS256', 'EdDSA', 'Ed25519'])
    for (const alg of algorithms) {
      const by = await createKey(alg)
      expect(jktOf((await obtain({ by })).access_token)).toBe(by.jkt)
    }
    const rs256 = await prove({ by: await createKey('RS256') })
    await expectError(await redeem('none', rs256), 'invalid_dpop_proof')
  })

  it('hands out bearer tokens, and no nonce, without one', async () => {
    const response = await redeemCode(app, clientId, await obtainCode(browser, clientId))
    expect(response.headers.get('dpop-nonce')).toBeNull()
    const answer = (await response.json()) as TokenAnswer
    expect(answer.token_type).toBe('Bearer')
    expect(jktOf(answer.access_token)).toBeUndefined()
  })

  it('refuses every wrong proof, and uses neither it nor the code', async () => {
    const code = await obtainCode(browser, clientId)
    const good = await prove()
    const wrong: Record<string, string> = {
      nothing: '',
      'no JWT': 'x',
      'two proofs': `${good}, ${await prove()}`,
      'the same proof twice': `${good}, ${good}`,
      'another method': await prove({ htm: 'GET' }),
      'another address': await prove({ path: '/oauth/userinfo' }),
      'another server': await prove({ htu: 'https://other.test/oauth/token' }),
      'no id': await prove({ claims: { jti: undefined } }),
      'another type': await prove({ header: { typ: 'JWT' } }),
      'a key that did not sign': await prove({ header: { jwk: other.jwk } }),
      'a cut signature': good.slice(0, -4),
    }
    for (const [what, dpop] of Object.entries(wrong)) {
      const { result, moved } = await observeUnchanged(app, () => redeem(code, dpop))
      await expectError(result, 'invalid_dpop_proof').catch((cause: unknown) => {
        throw new Error(`answered in another way: ${what}`, { cause })
      })
      expect(moved).toEqual({ ...proofs('invalid'), ...errors('invalid_dpop_proof') })
    }
    for (const nonce of ['', 'x', await learnNonce().then((text) => `${text}x`)])
      await expectError(await redeem(code, await sign({ nonce })), 'use_dpop_nonce')
    expect((await redeem(code, good)).status).toBe(200)
  })

  it('refuses a proof that was used, at any replica, and leaves the code as it was', async () => {
    const dpop = await prove()
    expect((await redeem(await obtainCode(browser, clientId), dpop)).status).toBe(200)
    const code = await obtainCode(browser, clientId)
    const { result, moved } = await observeUnchanged(app, () => redeem(code, dpop))
    await expectError(result, 'invalid_dpop_proof')
    expect(moved).toEqual({ ...proofs('replayed'), ...errors('invalid_dpop_proof'), ...publicOk })
    await expectError(await redeemCode(sending(dpop, lax), clientId, code), 'invalid_dpop_proof')
    expect((await redeem(code, await prove())).status).toBe(200)
  })

  it('takes one of fifty equal requests, and the code with it', async () => {
    const code = await obtainCode(browser, clientId)
    const dpop = await prove()
    const { result, moved } = await observe(app, () =>
      Promise.all(Array.from({ length: 50 }, () => redeem(code, dpop))),
    )
    const statuses = result.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => status === 400)).toHaveLength(49)
    expect(moved).toMatchObject({ ...proofs('accepted'), ...proofs('replayed', 49) })
  })

  it('lets a client that is not yet told the nonce send the same assertion again', async () => {
    const of = await add({
      type: 'confidential',
      tokenEndpointAuthMethod: 'private_key_jwt',
      jwks: keySetOf(key),
    })
    const code = await obtainCode(browser, of)
    const fields = {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await signAssertion(key, {
        clientId: of,
        audience: app.config.server.baseUrl,
        now: app.now(),
      }),
    }
    await expectError(await redeem(code, await sign(), of, fields), 'use_dpop_nonce')
    expect((await redeem(code, await prove(), of, fields)).status).toBe(200)
  })

  it('requires one of a client that is registered to send it', async () => {
    const of = await add({ dpopBoundAccessTokens: true })
    const code = await obtainCode(browser, of)
    const { result, moved } = await observeUnchanged(app, () => redeemCode(app, of, code))
    await expectError(result, 'invalid_request')
    expect(moved).toEqual({ ...errors('invalid_request'), ...publicOk })
    const { refresh_token } = await obtain({ of })
    await expectError(await refresh(refresh_token, undefined, { client_id: of }), 'invalid_request')
    expect((await redeem(code, await prove(), of)).status).toBe(200)
  })

  it('redeems a code that is bound to a key with that key alone', async () => {
    const code = await obtainCode(browser, clientId)
    const bound = { dpopJkt: key.jkt }
    const which = eq(authorizationCodes.codeHash, sha256(code))
    await app.database.db.update(authorizationCodes).set(bound).where(which)
    await expectError(await redeem(code, await prove({ by: other })), 'invalid_grant')
    await expectError(await redeemCode(app, clientId, code), 'invalid_grant')
    expect((await redeem(code, await prove())).status).toBe(200)
  })

  describe('for a refresh token', () => {
    const refreshed = (result: string) => ({
      [`oauth_tokens_refreshed_total{result="${result}"}`]: 1,
    })

    it('of a public client wants the same key, whatever happened before', async () => {
      const { refresh_token } = await obtain()
      for (const signed of [undefined, { by: other }]) {
        const { result, moved } = await observe(app, () => refresh(refresh_token, signed))
        await expectError(result, 'invalid_grant')
        expect(moved).toMatchObject({ ...refreshed('key_mismatch'), ...errors('invalid_grant') })
      }
      const first = (await (await refresh(refresh_token, {})).json()) as TokenAnswer
      expect([first.token_type, jktOf(first.access_token)]).toEqual(['DPoP', key.jkt])
      // The answer to a retry is of no use to somebody else, either.
      await expectError(await refresh(refresh_token, { by: other }), 'invalid_grant')
      const again = (await (await refresh(refresh_token, {})).json()) as TokenAnswer
      expect(again.refresh_token).toBe(first.refresh_token)
      await expectError(await refresh(first.refresh_token, undefined), 'invalid_grant')
      expect((await refresh(first.refresh_token, {})).status).toBe(200)
    })

    it('of a confidential client binds the access token to whatever key is shown', async () => {
      const { client, secret = '' } = await addClient(app.database.db, { type: 'confidential' })
      const credentials = { client_id: client.clientId, client_secret: secret }
      const { refresh_token } = await obtain({ of: client.clientId, fields: credentials })
      const next = (await (
        await refresh(refresh_token, { by: other }, credentials)
      ).json()) as TokenAnswer
      expect([next.token_type, jktOf(next.access_token)]).toEqual(['DPoP', other.jkt])
    })
  })

  it('where no nonce is wanted goes by the clock of the client, within a minute', async () => {
    const at = (dpop: string, code = 'none') => redeemCode(sending(dpop, lax), clientId, code)
    for (const seconds of [-70, 70]) {
      const claims = { iat: inSeconds(app.now(), seconds) }
      await expectError(await at(await sign({ claims })), 'invalid_dpop_proof')
    }
    const response = await at(await sign(), await obtainCode(browser, clientId))
    expect([response.status, response.headers.get('dpop-nonce')]).toEqual([200, null])
  })

  it('takes the nonce of another replica, and no old one', async () => {
    const replica = await startTestApp({ replicaOf: app })
    const nonce = await learnNonce(replica)
    await expectError(await redeem('none', await sign({ nonce })), 'invalid_grant')
    app.advance(301_000)
    await expectError(await redeem('none', await sign({ nonce })), 'use_dpop_nonce')
    await replica.close()
  })
})

describe('a bound access token at /oauth/userinfo', () => {
  const path = '/oauth/userinfo'
  const show = (
    token: string,
    { dpop, scheme = 'DPoP', ...init }: RequestInit & { dpop?: string; scheme?: string } = {},
  ) =>
    app.request(path, {
      ...init,
      headers: { authorization: `${scheme} ${token}`, ...(dpop !== undefined && { dpop }) },
    })
  const proveFor = (accessToken: string, more: Signed = {}) =>
    prove({ htm: 'GET', path, accessToken, ...more })

  const challenge = (error: string, scheme = 'DPoP') =>
    new RegExp(
      `^${scheme} realm="authgate", error="${error}", error_description="[^"]+"${scheme === 'DPoP' ? ', algs="ES256 PS256 EdDSA Ed25519"' : ''}$`,
    )

  async function expectRefused(response: Response, error: string, scheme?: string) {
    expect([response.status, await response.json()]).toEqual([
      401,
      { error, error_description: expect.any(String) },
    ])
    expect(response.headers.get('www-authenticate')).toMatch(challenge(error, scheme))
  }

  it('is told a nonce, and accepted with it, in any letters, by GET and POST', async () => {
    const { access_token } = await obtain()
    const nonceless = await sign({ htm: 'GET', path, accessToken: access_token })
    const first = await observeUnchanged(app, () => show(access_token, { dpop: nonceless }))
    await expectRefused(first.result, 'use_dpop_nonce')
    expect(first.moved).toEqual({ ...proofs('nonce_missing'), ...errors('use_dpop_nonce', path) })
    const nonce = first.result.headers.get('dpop-nonce') ?? ''
    for (const [scheme, method] of [
      ['DPoP', 'GET'],
      ['dpop', 'POST'],
    ] as const) {
      const dpop = await sign({ htm: method, path, accessToken: access_token, nonce })
      const { result, moved } = await observe(app, () =>
        show(access_token, { dpop, scheme, method }),
      )
      expect([result.status, result.headers.get('dpop-nonce')]).toEqual([200, expect.any(String)])
      expect(moved).toEqual({
        ...proofs('accepted'),
        'oauth_token_validation_total{result="valid"}': 1,
      })
    }
  })

  it('is no bearer token, in the header or in a form', async () => {
    const { access_token } = await obtain()
    const invalid = { 'oauth_token_validation_total{result="invalid"}': 1 }
    const form = () =>
      app.request(path, {
        method: 'POST',
        body: `access_token=${access_token}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })
    const dpop = await proveFor(access_token)
    for (const step of [
      () => show(access_token, { scheme: 'Bearer' }),
      () => show(access_token, { scheme: 'Bearer', dpop }),
      form,
    ]) {
      const { result, moved } = await observeUnchanged(app, step)
      await expectRefused(result, 'invalid_token', 'Bearer')
      expect(moved).toEqual({ ...invalid, ...errors('invalid_token', path) })
    }
  })

  it('goes with its own key: not without a proof, not with a wrong one, not with that of another', async () => {
    const { access_token } = await obtain()
    const stranger = await obtain({ by: other })
    await expectRefused(await show(access_token), 'invalid_dpop_proof')
    const wrong = [
      await proveFor(access_token, { htm: 'POST' }),
      await proveFor(access_token, { path: '/oauth/token' }),
      await proveFor(stranger.access_token),
      await prove({ htm: 'GET', path }),
      `${await proveFor(access_token)}, ${await proveFor(access_token)}`,
      'x',
    ]
    for (const dpop of wrong) {
      const { result, moved } = await observeUnchanged(app, () => show(access_token, { dpop }))
      await expectRefused(result, 'invalid_dpop_proof')
      expect(moved).toEqual({ ...proofs('invalid'), ...errors('invalid_dpop_proof', path) })
    }
    const dpop = await proveFor(access_token, { by: other })
    const { result } = await observeUnchanged(app, () => show(access_token, { dpop }))
    await expectRefused(result, 'invalid_token')
    const right = await proveFor(access_token)
    expect((await show(access_token, { dpop: right })).status).toBe(200)
  })

  it('is not what a bearer token can pass for', async () => {
    const response = await redeemCode(app, clientId, await obtainCode(browser, clientId))
    const { access_token } = (await response.json()) as TokenAnswer
    const dpop = await proveFor(access_token)
    await expectRefused(await show(access_token, { dpop }), 'invalid_token')
    expect((await show(access_token, { scheme: 'Bearer', dpop })).status).toBe(200)
  })

  it('is accepted with a proof once, of fifty at the same time', async () => {
    const { access_token } = await obtain()
    const dpop = await proveFor(access_token)
    const { result, moved } = await observe(app, () =>
      Promise.all(Array.from({ length: 50 }, () => show(access_token, { dpop }))),
    )
    expect(result.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(result.filter(({ status }) => status === 401)).toHaveLength(49)
    expect(moved).toMatchObject({ ...proofs('accepted'), ...proofs('replayed', 49) })
    await expectRefused(await show(access_token, { dpop }), 'invalid_dpop_proof')
  })

  it('is challenged for with both schemes when it is not there', async () => {
    const response = await app.request(path, { headers: { dpop: 'x' } })
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([
      401,
      'Bearer realm="authgate", DPoP algs="ES256 PS256 EdDSA Ed25519"',
    ])
  })
})

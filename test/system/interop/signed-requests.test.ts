/** Authorization requests that no browser can change: pushed (RFC 9126), signed (RFC 9101), and what FAPI 2.0 makes of them. */
import * as openid from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  approve,
  beginSignIn,
  type Running,
  registerWithKey,
  startServer,
} from '../../support/interop.ts'

let running: Running
beforeAll(async () => {
  running = await startServer()
})
afterAll(() => running?.home.remove())

const algorithms = ['ES256', 'PS256', 'RS256', 'EdDSA']

it('a pushed request signs in, by its reference alone', async () => {
  const { config } = await registerWithKey(running, 'ES256', {
    require_pushed_authorization_requests: true,
  })
  const { checks, parameters } = await beginSignIn()
  const start = await openid.buildAuthorizationUrlWithPAR(config, parameters)
  expect([...start.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri'])
  const back = await approve(running, start)
  const tokens = await openid.authorizationCodeGrant(config, back, checks)
  expect(tokens.claims()?.nonce).toBe(checks.expectedNonce)
})

it.each(algorithms)('a request object signed with %s signs in', async (alg) => {
  const { config, key } = await registerWithKey(running, alg, { request_object_signing_alg: alg })
  const { checks, parameters } = await beginSignIn()
  const start = await openid.buildAuthorizationUrlWithJAR(config, parameters, key)
  expect([...start.searchParams.keys()].sort()).toEqual(['client_id', 'request'])
  const back = await approve(running, start)
  const tokens = await openid.authorizationCodeGrant(config, back, checks)
  expect(tokens.claims()?.nonce).toBe(checks.expectedNonce)
})

it('a signed request that is pushed signs in, too', async () => {
  const { config, key } = await registerWithKey(running, 'ES256', {
    require_signed_request_object: true,
  })
  const { checks, parameters } = await beginSignIn()
  const signed = await openid.buildAuthorizationUrlWithJAR(config, parameters, key)
  const start = await openid.buildAuthorizationUrlWithPAR(config, signed.searchParams)
  const tokens = await openid.authorizationCodeGrant(config, await approve(running, start), checks)
  expect(tokens.claims()?.nonce).toBe(checks.expectedNonce)
})

it('FAPI 2.0: pushed request, assertion, DPoP from the first step on', async () => {
  const { config } = await registerWithKey(running, 'ES256', {
    require_pushed_authorization_requests: true,
    dpop_bound_access_tokens: true,
    id_token_signed_response_alg: 'ES256',
  })
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair())
  const { checks, parameters } = await beginSignIn()
  const start = await openid.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
  const back = await approve(running, start)
  const tokens = await openid.authorizationCodeGrant(config, back, checks, undefined, { DPoP })
  expect(tokens.token_type).toBe('dpop')
  const subject = tokens.claims()?.sub ?? ''
  expect(await openid.fetchUserInfo(config, tokens.access_token, subject, { DPoP })).toMatchObject({
    name: 'Administrator',
  })
  await expect(openid.fetchUserInfo(config, tokens.access_token, subject)).rejects.toMatchObject({
    status: 401,
  })
  const renewed = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, {
    DPoP,
  })
  expect(renewed.token_type).toBe('dpop')
  const facts = await openid.tokenIntrospection(config, renewed.access_token)
  expect(facts).toMatchObject({ active: true, cnf: { jkt: expect.any(String) } })
})

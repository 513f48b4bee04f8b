/** The plan `oidcc-backchannel-rp-initiated-logout-certification-test-plan`. */
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { addressOf, randomText, register } from '../../support/openid/client.ts'
import { runFlow } from '../../support/openid/flow.ts'
import { type Suite, startSuite } from '../../support/openid/suite.ts'

const afterwards = 'https://suite.example.test/test/a/authgate/post_logout_redirect'
const event = 'http://schemas.openid.net/event/backchannel-logout'

let suite: Suite
beforeAll(async () => {
  suite = await startSuite()
})
afterAll(() => suite?.end())

it('oidcc-backchannel-logout-discovery-endpoint-verification: says that it tells clients, by session', () => {
  expect(suite.metadata).toMatchObject({
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
    end_session_endpoint: expect.stringMatching(new RegExp(`^${suite.issuer}/`)),
  })
})

it('oidcc-backchannel-rp-initiated-logout: the client hears of it, in a token that holds what it must', async () => {
  const client = await register(suite, {
    metadata: {
      post_logout_redirect_uris: [afterwards],
      backchannel_logout_session_required: true,
      backchannel_logout_uri: `${suite.web.origin}/backchannel_logout`,
    },
  })
  const { person, tokens, claims: signedIn } = await runFlow(suite, { client })
  const state = randomText(128)
  const { callback } = await person.visit(
    addressOf(suite.metadata.end_session_endpoint, {
      id_token_hint: tokens.body.id_token,
      post_logout_redirect_uri: afterwards,
      state,
    }),
  )
  expect(callback).toMatchObject({ address: `${afterwards}?state=${state}`, parameters: { state } })
  const received = await vi.waitUntil(() => suite.web.received('/backchannel_logout')[0], 20_000)
  // CheckForUnexpectedParametersInBackchannelLogoutRequest.
  expect([...received.keys()]).toEqual(['logout_token'])
  const keys = createRemoteJWKSet(new URL(suite.metadata.jwks_uri))
  const { payload, protectedHeader } = await jwtVerify(received.get('logout_token') ?? '', keys, {
    issuer: suite.issuer,
    audience: client.clientId,
    requiredClaims: ['iat', 'exp', 'jti'],
  })
  expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'logout+jwt' })
  expect(payload['events']).toEqual({ [event]: {} })
  expect(payload).toMatchObject({ sub: signedIn.sub, sid: signedIn['sid'] })
  expect(payload['sid']).toMatch(/./)
  expect(payload).not.toHaveProperty('nonce')
  const again = await person.visit(
    addressOf(suite.metadata.authorization_endpoint, {
      client_id: client.clientId,
      redirect_uri: client.redirectUri,
      response_type: 'code',
      scope: 'openid',
      prompt: 'none',
    }),
  )
  expect(again.callback?.parameters['error']).toBe('login_required')
})

/** Clients with keys instead of secrets: signed assertions, and tokens bound to a key (RFC 7523, RFC 9449). */
import * as openid from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Running, registerWithKey, signIn, startServer } from '../../support/interop.ts'

let running: Running
beforeAll(async () => {
  running = await startServer()
})
afterAll(() => running?.home.remove())

const algorithms = ['ES256', 'PS256', 'RS256', 'EdDSA']

it.each(algorithms)('private_key_jwt with %s authenticates at every endpoint', async (alg) => {
  const { config } = await registerWithKey(running, alg)
  const tokens = await signIn(running, config)
  const { access_token } = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '')
  expect(await openid.tokenIntrospection(config, access_token)).toMatchObject({ active: true })
  await openid.tokenRevocation(config, access_token)
  expect(await openid.tokenIntrospection(config, access_token)).toEqual({ active: false })
})

it.each(['ES256', 'PS256', 'EdDSA'])(
  'a token bound by DPoP proofs signed with %s is of no use without them',
  async (alg) => {
    const { config } = await registerWithKey(running, 'ES256')
    const keys = await openid.randomDPoPKeyPair(alg === 'EdDSA' ? 'Ed25519' : alg)
    const DPoP = openid.getDPoPHandle(config, keys)
    const tokens = await signIn(running, config, {}, { DPoP })
    expect(tokens.token_type).toBe('dpop')
    const subject = tokens.claims()?.sub ?? ''
    await openid.fetchUserInfo(config, tokens.access_token, subject, { DPoP })
    await expect(openid.fetchUserInfo(config, tokens.access_token, subject)).rejects.toMatchObject({
      status: 401,
    })
  },
)

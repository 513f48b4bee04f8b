/** Machines, and what becomes of tokens: renewed, asked about, taken back (RFC 6749, RFC 7009, RFC 7662, RFC 9701). */
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Running, register, signIn, startServer } from '../../support/interop.ts'

let running: Running
let web: openid.Configuration
let service: openid.Configuration

beforeAll(async () => {
  running = await startServer()
  web = await register(running, { introspection_signed_response_alg: 'ES256' })
  service = await register(running, {
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
  })
})
afterAll(() => running?.home.remove())

it('a machine gets an access token of its own, and nothing of a user', async () => {
  const tokens = await openid.clientCredentialsGrant(service)
  expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: expect.any(Number) })
  expect(tokens).not.toHaveProperty('refresh_token')
  expect(tokens).not.toHaveProperty('id_token')
  const facts = await openid.tokenIntrospection(service, tokens.access_token)
  const { client_id } = service.clientMetadata()
  expect(facts).toMatchObject({ active: true, client_id, sub: client_id })
})

describe('tokens of a sign-in', () => {
  it('narrow at refresh, and are active until they are revoked', async () => {
    const tokens = await signIn(running, web)
    const parameters = { scope: 'openid' }
    const narrow = await openid.refreshTokenGrant(web, tokens.refresh_token ?? '', parameters)
    expect(narrow.scope).toBe('openid')
    const refresh = narrow.refresh_token ?? ''
    expect(await openid.tokenIntrospection(web, narrow.access_token)).toMatchObject({
      active: true,
      iss: running.server.url,
      scope: 'openid',
    })
    await openid.tokenRevocation(web, refresh, { token_type_hint: 'refresh_token' })
    for (const token of [refresh, narrow.access_token, tokens.access_token])
      expect(await openid.tokenIntrospection(web, token)).toEqual({ active: false })
    await expect(openid.refreshTokenGrant(web, refresh)).rejects.toMatchObject({
      error: 'invalid_grant',
    })
  })

  it('are introspected with a signed answer for whoever asks for one', async () => {
    const { access_token } = await signIn(running, web)
    const as = web.serverMetadata()
    const client = web.clientMetadata()
    const response = await oauth.introspectionRequest(
      as,
      client,
      oauth.ClientSecretPost(String(client.client_secret)),
      access_token,
      { requestJwtResponse: true, [oauth.allowInsecureRequests]: true },
    )
    expect(response.headers.get('content-type')).toMatch(/token-introspection\+jwt/)
    expect(await oauth.processIntrospectionResponse(as, client, response)).toMatchObject({
      active: true,
      client_id: client.client_id,
    })
    const insecure = { [oauth.allowInsecureRequests]: true }
    await oauth.validateApplicationLevelSignature(as, response, insecure)
  })
})

/** Clients that register themselves (RFC 7591) and look after their registration (RFC 7592). */
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { callback, type Running, register, signIn, startServer } from '../../support/interop.ts'

let running: Running
beforeAll(async () => {
  running = await startServer()
})
afterAll(() => running?.home.remove())

it.each(['client_secret_basic', 'client_secret_post', 'none'])(
  'openid-client registers with %s and signs in with what it was given',
  async (method) => {
    const authentication = {
      client_secret_basic: openid.ClientSecretBasic(),
      client_secret_post: openid.ClientSecretPost(),
      none: openid.None(),
    }[method]
    const config = await register(running, { token_endpoint_auth_method: method }, authentication)
    const metadata = config.clientMetadata()
    expect(metadata).toMatchObject({
      client_name: expect.stringMatching(/^Interop/),
      redirect_uris: [callback],
      token_endpoint_auth_method: method,
      response_types: ['code'],
    })
    expect(typeof metadata.client_secret).toBe(method === 'none' ? 'undefined' : 'string')
    const tokens = await signIn(running, config)
    expect(tokens.claims()?.aud).toBe(metadata.client_id)
  },
)

it('oauth4webapi is refused without the initial access token', async () => {
  const issuer = new URL(running.server.url)
  const http = { [oauth.allowInsecureRequests]: true }
  const as = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, http),
  )
  const response = await oauth.dynamicClientRegistrationRequest(
    as,
    { redirect_uris: [callback] },
    http,
  )
  await expect(oauth.processDynamicClientRegistrationResponse(response)).rejects.toMatchObject({
    status: 401,
    cause: [{ scheme: 'bearer' }],
  })
})

it('a client reads, changes and deletes its registration, and is gone', async () => {
  const config = await register(running, {})
  const { client_id, client_secret, registration_client_uri, registration_access_token } =
    config.clientMetadata() as Record<string, string>
  const manage = (method: string, body?: object) =>
    fetch(registration_client_uri ?? '', {
      method,
      headers: {
        authorization: `Bearer ${registration_access_token}`,
        'content-type': 'application/json',
      },
      ...(body && { body: JSON.stringify(body) }),
    })
  const read = await manage('GET')
  expect(await read.json()).toMatchObject({
    client_id,
    client_name: expect.stringMatching(/^Interop/),
  })
  const change = { client_id, client_secret, client_name: 'Renamed', redirect_uris: [callback] }
  const changed = await manage('PUT', change)
  expect(await changed.json()).toMatchObject({ client_id, client_name: 'Renamed' })
  await signIn(running, config, { scope: 'openid' })
  expect((await manage('DELETE')).status).toBe(204)
  expect((await manage('GET')).status).toBe(401)
  await expect(signIn(running, config, { scope: 'openid' })).rejects.toThrow()
})

/** Unmodified client libraries and an issuer with a path, behind both kinds of proxy. */
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  approve,
  beginSignIn,
  onLoopback,
  type Running,
  registerWithKey,
  signIn,
  startServer,
} from '../../support/interop.ts'
import { type PathProxy, startPathProxy } from '../../support/path-proxy.ts'

describe.each([
  { kind: 'passes the path on', strips: false },
  { kind: 'strips the path', strips: true },
])('behind a proxy that $kind', ({ strips }) => {
  let proxy: PathProxy
  let running: Running
  beforeAll(async () => {
    proxy = await startPathProxy({ strips })
    running = await startServer(proxy.settings)
  })
  afterAll(async () => {
    await proxy?.close()
    await running?.home.remove()
  })
  const issuer = () => new URL(running.server.url)

  it.each(['oidc', 'oauth2'] as const)(
    'openid-client and oauth4webapi discover it by %s',
    async (algorithm) => {
      const config = await openid.discovery(issuer(), running.publicId, undefined, openid.None(), {
        ...onLoopback,
        algorithm,
      })
      expect(config.serverMetadata().issuer).toBe(running.server.url)
      const response = await oauth.discoveryRequest(issuer(), {
        algorithm,
        [oauth.allowInsecureRequests]: true,
      })
      const server = await oauth.processDiscoveryResponse(issuer(), response)
      expect(server.token_endpoint).toBe(`${running.server.url}/oauth/token`)
    },
  )

  it('code with PKCE, ID token, userinfo, refresh', async () => {
    const { publicId } = running
    const config = await openid.discovery(issuer(), publicId, undefined, openid.None(), onLoopback)
    openid.enableNonRepudiationChecks(config)
    const redirect_uri = 'http://127.0.0.1:49999/callback'
    const tokens = await signIn(running, config, { redirect_uri })
    const { sub = '', iss } = tokens.claims() ?? {}
    expect(iss).toBe(running.server.url)
    expect(await openid.fetchUserInfo(config, tokens.access_token, sub)).toMatchObject({ sub })
    const renewed = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '')
    expect(renewed.claims()?.sub).toBe(sub)
  })

  it('a pushed request, signed, with an assertion and DPoP from the first step on', async () => {
    const { config, key } = await registerWithKey(running, 'ES256', {
      require_signed_request_object: true,
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
    })
    const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair())
    const { checks, parameters } = await beginSignIn()
    const signed = await openid.buildAuthorizationUrlWithJAR(config, parameters, key)
    const start = await openid.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP })
    const back = await approve(running, start)
    const tokens = await openid.authorizationCodeGrant(config, back, checks, undefined, { DPoP })
    expect(tokens.token_type).toBe('dpop')
    const { sub = '' } = tokens.claims() ?? {}
    expect(await openid.fetchUserInfo(config, tokens.access_token, sub, { DPoP })).toMatchObject({
      sub,
    })
  })

  it('nothing was asked of the rest of the host', () => expect(proxy.strayed).toEqual([]))
})

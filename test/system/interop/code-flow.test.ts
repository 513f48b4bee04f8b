/** Unmodified client libraries, as strict as they come, against the running server. */
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decide } from '../../support/flow.ts'
import {
  approve as approveAt,
  beginSignIn,
  callback,
  onLoopback,
  type Running,
  startServer,
} from '../../support/interop.ts'
import { createConfidentialClient } from '../admin.ts'

let running: Running
let confidential: { clientId: string; secret: string }
const scope = 'openid profile email offline_access'

beforeAll(async () => {
  running = await startServer()
  confidential = await createConfidentialClient(running.browser, callback)
})
afterAll(() => running?.home.remove())

const issuer = () => new URL(running.server.url)
const approve = (url: URL) => approveAt(running, url)

/** A native app listens on whatever port it is given (RFC 8252 §7.3). */
const loopbackCallback = () =>
  `http://127.0.0.1:${49_152 + Math.floor(Math.random() * 16_000)}/callback`

describe('openid-client', () => {
  const clients = {
    'a public client on a random loopback port': () =>
      openid.discovery(issuer(), running.publicId, undefined, openid.None(), onLoopback),
    'a confidential client with client_secret_basic': () =>
      openid.discovery(
        issuer(),
        confidential.clientId,
        undefined,
        openid.ClientSecretBasic(confidential.secret),
        onLoopback,
      ),
  }

  it.each(Object.entries(clients))(
    '%s: discovery, code with PKCE, ID token, userinfo, refresh',
    async (name, discover) => {
      const config = await discover()
      // Signatures are checked although the tokens come straight from the server.
      openid.enableNonRepudiationChecks(config)
      const redirect_uri = name.startsWith('a public') ? loopbackCallback() : callback
      const begun = await beginSignIn({ redirect_uri })
      const back = await approve(openid.buildAuthorizationUrl(config, begun.parameters))
      expect(back.href.startsWith(`${redirect_uri}?`)).toBe(true)

      const checks = { ...begun.checks, maxAge: 600 }
      const tokens = await openid.authorizationCodeGrant(config, back, checks)
      const claims = tokens.claims()
      const subject = claims?.sub ?? ''
      expect(claims).toMatchObject({ iss: running.server.url, nonce: checks.expectedNonce })
      expect(tokens).toMatchObject({ token_type: 'bearer', scope })
      expect(await openid.fetchUserInfo(config, tokens.access_token, subject)).toMatchObject({
        sub: subject,
        preferred_username: 'admin',
        email: 'admin@localhost.invalid',
      })

      const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '')
      expect(refreshed.claims()?.sub).toBe(subject)
      expect(refreshed.access_token).not.toBe(tokens.access_token)
      expect(refreshed.refresh_token).not.toBe(tokens.refresh_token)
      await openid.fetchUserInfo(config, refreshed.access_token, subject)
    },
  )

  it('tells its caller when the person says no', async () => {
    const config = await clients['a public client on a random loopback port']()
    const pkceCodeVerifier = openid.randomPKCECodeVerifier()
    const { pathname, search } = openid.buildAuthorizationUrl(config, {
      redirect_uri: loopbackCallback(),
      scope: 'openid',
      state: 's',
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    })
    const denied = await decide(running.browser, pathname + search, 'deny')
    const back = new URL(denied.headers.get('location') ?? '')
    await expect(
      openid.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState: 's' }),
    ).rejects.toMatchObject({ error: 'access_denied' })
  })
})

describe('oauth4webapi', () => {
  const http = { [oauth.allowInsecureRequests]: true }

  const discover = async (algorithm: 'oidc' | 'oauth2') => {
    const response = await oauth.discoveryRequest(issuer(), { algorithm, ...http })
    return oauth.processDiscoveryResponse(issuer(), response)
  }

  const startOf = async (as: oauth.AuthorizationServer, query: Record<string, string>) => {
    const url = new URL(as.authorization_endpoint ?? '')
    url.search = new URLSearchParams(query).toString()
    return url
  }

  const cases = {
    'a public client': () => ({
      client: { client_id: running.publicId },
      authentication: oauth.None(),
      redirect_uri: loopbackCallback(),
    }),
    'a confidential client with client_secret_basic': () => ({
      client: { client_id: confidential.clientId },
      authentication: oauth.ClientSecretBasic(confidential.secret),
      redirect_uri: callback,
    }),
    'a confidential client with client_secret_post': () => ({
      client: { client_id: confidential.clientId },
      authentication: oauth.ClientSecretPost(confidential.secret),
      redirect_uri: callback,
    }),
  }

  it.each(Object.entries(cases))(
    '%s: discovery, code with PKCE, ID token, userinfo, refresh',
    async (_, setUp) => {
      const { client, authentication, redirect_uri } = setUp()
      const as = await discover('oidc')
      const verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const nonce = oauth.generateRandomNonce()
      const start = await startOf(as, {
        response_type: 'code',
        client_id: client.client_id,
        redirect_uri,
        scope,
        state,
        nonce,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      })
      const back = await approve(start)

      const parameters = oauth.validateAuthResponse(as, client, back, state)
      const answer = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        authentication,
        parameters,
        redirect_uri,
        verifier,
        http,
      )
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, answer, {
        expectedNonce: nonce,
        maxAge: 600,
        requireIdToken: true,
      })
      await oauth.validateApplicationLevelSignature(as, answer, http)
      const subject = oauth.getValidatedIdTokenClaims(tokens)?.sub ?? ''

      const userinfo = await oauth.userInfoRequest(as, client, tokens.access_token, http)
      expect(await oauth.processUserInfoResponse(as, client, subject, userinfo)).toMatchObject({
        name: 'Administrator',
      })

      const refresh = tokens.refresh_token ?? ''
      const renewal = await oauth.refreshTokenGrantRequest(
        as,
        client,
        authentication,
        refresh,
        http,
      )
      const renewed = await oauth.processRefreshTokenResponse(as, client, renewal)
      expect(renewed.access_token).not.toBe(tokens.access_token)
    },
  )

  it('accepts the metadata of RFC 8414 as well, and finds the signing keys in the key set', async () => {
    const as = await discover('oauth2')
    expect(as.issuer).toBe(running.server.url)
    const { keys } = (await (await fetch(as.jwks_uri ?? '')).json()) as { keys: object[] }
    expect(keys).toEqual([
      expect.objectContaining({ kty: 'EC', alg: 'ES256', use: 'sig', kid: expect.any(String) }),
      expect.objectContaining({ kty: 'RSA', alg: 'RS256', use: 'sig', kid: expect.any(String) }),
      expect.objectContaining({ kty: 'OKP', alg: 'EdDSA', use: 'sig', kid: expect.any(String) }),
    ])
    for (const key of keys) expect(key).not.toHaveProperty('d')
  })

  it('refuses a code whose verifier is another one, and gives nothing away', async () => {
    const as = await discover('oidc')
    const { client, authentication, redirect_uri } = cases['a public client']()
    const back = await approve(
      await startOf(as, {
        response_type: 'code',
        client_id: client.client_id,
        redirect_uri,
        scope: 'openid',
        code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()),
        code_challenge_method: 'S256',
      }),
    )
    const parameters = oauth.validateAuthResponse(as, client, back, oauth.expectNoState)
    const answer = await oauth.authorizationCodeGrantRequest(
      as,
      client,
      authentication,
      parameters,
      redirect_uri,
      oauth.generateRandomCodeVerifier(),
      http,
    )
    await expect(oauth.processAuthorizationCodeResponse(as, client, answer)).rejects.toMatchObject({
      error: 'invalid_grant',
      status: 400,
    })
  })
})

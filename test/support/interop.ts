/** What the tests of unmodified client libraries share: a running server, a person at a browser, and clients of many kinds. */
import { exportJWK } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { type Browser, openBrowser } from './browser.ts'
import { answerConsent } from './flow.ts'
import { createHome, type Home, type ServerProcess } from './process.ts'

export interface Running {
  readonly home: Home
  readonly server: ServerProcess
  /** The operator, signed in. */
  readonly browser: Browser
  /** The client of the first start. */
  readonly publicId: string
}

export const callback = 'https://app.example.test/callback'

const initialAccessToken = 'initial-access-token-of-the-interop-tests'

/** Clients register themselves, name addresses of this machine, and are active at once. */
export async function startServer(settings: Record<string, string> = {}): Promise<Running> {
  const home = await createHome()
  const server = await home.start({
    ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
    DYNAMIC_CLIENT_REGISTRATION_TOKEN: initialAccessToken,
    DYNAMIC_CLIENT_REGISTRATION_STATUS: 'active',
    OUTBOUND_PRIVATE_ADDRESSES: 'true',
    // Not all of the libraries that are tried use it.
    PKCE_REQUIRED_FOR_NEW_CLIENTS: 'false',
    ...settings,
  })
  const { username, password, clientId } = home.credentials()
  const browser = openBrowser(server)
  await browser.signIn(username, { password })
  return { home, server, browser, publicId: clientId }
}

/** https is asked for everywhere but on the loopback interface, which is where this server runs. */
export const onLoopback = { execute: [openid.allowInsecureRequests] }

/** RFC 7591, as openid-client does it. */
export async function register(
  { server }: Running,
  metadata: Partial<openid.ClientMetadata>,
  authentication?: openid.ClientAuth,
): Promise<openid.Configuration> {
  const config = await openid.dynamicClientRegistration(
    new URL(server.url),
    {
      client_name: `Interop ${crypto.randomUUID()}`,
      redirect_uris: [callback],
      grant_types: ['authorization_code', 'refresh_token'],
      ...metadata,
    },
    authentication,
    { ...onLoopback, initialAccessToken },
  )
  // Signatures are checked although the tokens come straight from the server.
  openid.enableNonRepudiationChecks(config)
  return config
}

/** A client whose public key is registered, and its private one. */
export async function registerWithKey(
  running: Running,
  alg: string,
  metadata: Partial<openid.ClientMetadata> = {},
) {
  const { privateKey, publicKey } = await oauth.generateKeyPair(alg === 'EdDSA' ? 'Ed25519' : alg)
  const key = { key: privateKey, kid: crypto.randomUUID() }
  const jwk = { ...(await exportJWK(publicKey)), kid: key.kid, use: 'sig' }
  const config = await register(
    running,
    { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] }, ...metadata },
    openid.PrivateKeyJwt(key),
  )
  return { config, key }
}

/** What the person at the browser does: says yes where they are asked, and is sent back to the client. */
export async function approve({ browser }: Running, start: URL): Promise<URL> {
  let page = await browser.get(start.pathname + start.search)
  let next = page.headers.get('location')
  // A signed request is good once, so the browser is led on to the one that was stored.
  for (; next?.startsWith('/'); next = page.headers.get('location')) page = await browser.get(next)
  if (next === null) next = (await answerConsent(browser, page, 'approve')).headers.get('location')
  return new URL(next ?? 'http://the-browser-was-not-sent-back')
}

/** The checks of one sign-in, and the parameters that go with them. */
export async function beginSignIn(parameters: Record<string, string> = {}) {
  const checks = {
    pkceCodeVerifier: openid.randomPKCECodeVerifier(),
    expectedState: openid.randomState(),
    expectedNonce: openid.randomNonce(),
    idTokenExpected: true,
  }
  return {
    checks,
    parameters: {
      redirect_uri: callback,
      scope: 'openid profile email offline_access',
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      code_challenge: await openid.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
      code_challenge_method: 'S256',
      ...parameters,
    },
  }
}

/** A whole sign-in by the plain way: authorization request, consent, code, tokens. */
export async function signIn(
  running: Running,
  config: openid.Configuration,
  more: Record<string, string> = {},
  options?: openid.DPoPOptions,
) {
  const { checks, parameters } = await beginSignIn(more)
  const back = await approve(running, openid.buildAuthorizationUrl(config, parameters))
  return openid.authorizationCodeGrant(config, back, checks, undefined, options)
}

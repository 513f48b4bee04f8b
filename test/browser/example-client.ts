/** A web application that lets people sign in with AuthGate: another origin, an unmodified client library, no shortcuts. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as openid from 'openid-client'

export interface ExampleClient {
  readonly url: string
  readonly redirectUri: string
  /** From now on it is this client of this server. */
  use(issuer: string, credentials: { clientId: string; secret?: string }): Promise<void>
  /** What its last sign-in brought. */
  lastTokens(): openid.TokenEndpointResponse | undefined
  close(): Promise<void>
}

interface Attempt {
  readonly pkceCodeVerifier: string
  readonly expectedState: string
  readonly expectedNonce: string
}

export async function startExampleClient(): Promise<ExampleClient> {
  let config: openid.Configuration | undefined
  let tokens: openid.TokenEndpointResponse | undefined
  const attempts = new Map<string, Attempt>()
  const server = createServer((request, response) => {
    const here = new URL(request.url ?? '/', url)
    void answer(here, response).catch((error: unknown) =>
      page(response, `Sign-in failed: ${describe(error)}`),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const redirectUri = `${url}/callback`

  async function answer(here: URL, response: ServerResponse) {
    if (here.pathname === '/favicon.ico') return void response.writeHead(204).end()
    if (here.pathname === '/') return page(response, '<a href="/start">Sign in with AuthGate</a>')
    if (!config) throw new Error('the client is not registered')
    if (here.pathname === '/start') return start(config, response)
    const attempt = attempts.get(here.searchParams.get('state') ?? '')
    if (!attempt) throw new Error('nobody has begun this sign-in')
    const granted = await openid.authorizationCodeGrant(config, here, attempt)
    tokens = granted
    const subject = granted.claims()?.sub ?? ''
    const person = await openid.fetchUserInfo(config, granted.access_token, subject)
    return page(response, `Welcome, ${person.preferred_username}`)
  }

  async function start(to: openid.Configuration, response: ServerResponse) {
    const attempt = {
      pkceCodeVerifier: openid.randomPKCECodeVerifier(),
      expectedState: openid.randomState(),
      expectedNonce: openid.randomNonce(),
    }
    attempts.set(attempt.expectedState, attempt)
    const location = openid.buildAuthorizationUrl(to, {
      redirect_uri: redirectUri,
      scope: 'openid profile email offline_access',
      state: attempt.expectedState,
      nonce: attempt.expectedNonce,
      code_challenge: await openid.calculatePKCECodeChallenge(attempt.pkceCodeVerifier),
      code_challenge_method: 'S256',
    })
    response.writeHead(302, { location: location.href }).end()
  }

  return {
    url,
    redirectUri,
    async use(issuer, { clientId, secret }) {
      const authentication = secret === undefined ? openid.None() : openid.ClientSecretBasic(secret)
      config = await openid.discovery(new URL(issuer), clientId, undefined, authentication, {
        execute: [openid.allowInsecureRequests],
      })
    },
    lastTokens: () => tokens,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const describe = (error: unknown) =>
  error instanceof Error && 'error' in error ? String(error.error) : String(error)

function page(response: ServerResponse, body: string) {
  response
    .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    .end(
      `<!doctype html><html lang="en"><title>Example app</title><main><h1>Example app</h1><p>${body}</p></main></html>`,
    )
}

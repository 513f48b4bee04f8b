/** A web application that lets people sign in with AuthGate: another origin, an unmodified client library, no shortcuts. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
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

export async function startExampleClient(host = '127.0.0.1'): Promise<ExampleClient> {
  let config: openid.Configuration | undefined
  let tokens: openid.TokenEndpointResponse | undefined
  const attempts = new Map<string, Attempt>()
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) =>
      page(response, `Sign-in failed: ${describe(error)}`),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const name = host.includes(':') ? `[${host}]` : host
  const url = `http://${name}:${(server.address() as AddressInfo).port}`
  const redirectUri = `${url}/callback`

  async function answer(request: IncomingMessage, response: ServerResponse) {
    const here = new URL(request.url ?? '/', url)
    if (here.pathname === '/favicon.ico') return void response.writeHead(204).end()
    if (here.pathname === '/') return page(response, '<a href="/start">Sign in with AuthGate</a>')
    if (!config) throw new Error('the client is not registered')
    if (here.pathname === '/start') return start(config, here.searchParams, response)
    const granted = await redeem(config, here, request)
    tokens = granted
    const subject = granted.claims()?.sub ?? ''
    const person = await openid.fetchUserInfo(config, granted.access_token, subject)
    return page(response, `Welcome, ${person.preferred_username}`)
  }

  /** The answer, in the query or in a form. */
  async function redeem(from: openid.Configuration, here: URL, request: IncomingMessage) {
    const posted = request.method === 'POST' ? await text(request) : undefined
    const answer = posted === undefined ? here.searchParams : new URLSearchParams(posted)
    const attempt = attempts.get(answer.get('state') ?? '')
    if (!attempt) throw new Error('nobody has begun this sign-in')
    const arrived = posted === undefined ? here : formRequest(here, posted)
    return openid.authorizationCodeGrant(from, arrived, attempt)
  }

  /** Parameters of /start go on to the server. */
  async function start(to: openid.Configuration, more: URLSearchParams, response: ServerResponse) {
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
      ...Object.fromEntries(more),
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

const formRequest = (address: URL, body: string) =>
  new Request(address, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

const describe = (error: unknown) =>
  error instanceof Error && 'error' in error ? String(error.error) : String(error)

function page(response: ServerResponse, body: string) {
  response
    .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    .end(
      `<!doctype html><html lang="en"><title>Example app</title><main><h1>Example app</h1><p>${body}</p></main></html>`,
    )
}

/**
 * An identity provider on a port of its own: the APIs of GitHub, Gitea and GitLab, and signed ID tokens as an OpenID
 * Connect issuer and a Microsoft tenant give them. It holds clients to PKCE, secret, redirect URI and one use of a code.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export interface Person {
  readonly id: number
  readonly username: string
  readonly email: string | undefined
  readonly verified: boolean
}

interface Code {
  readonly person: Person
  readonly query: URLSearchParams
}

export interface IdentityProvider {
  readonly url: string
  /** Settings that let AuthGate use it under all five names. */
  readonly settings: Record<string, string>
  /** Every token it has handed out. */
  readonly tokens: string[]
  /** What the person's browser is sent back with, after they said yes. */
  approve(location: string, person: Person): URLSearchParams
  /** Who sits at the browsers that come; undefined for somebody who says no. */
  seat(person: Person | undefined): void
  /** Until the next call: claims that replace those of ID tokens, paths that fail, whose key signs. */
  misbehave(how: Misbehaviour): void
  /** Bytes of endless answers that somebody took, since the last call of `misbehave`. */
  written(): number
  close(): Promise<void>
}

interface Misbehaviour {
  readonly claims?: Record<string, unknown>
  readonly failing?: RegExp
  readonly foreignKey?: boolean
  /** Replaces what is discovered. */
  readonly metadata?: Record<string, unknown>
  /** How the path ends whose answer has no end: it stops after 64 MiB. */
  readonly endless?: string
}

const clientSecret = 'a secret between two servers'
const tenant = '0b8a3a9c-6a3e-4f8e-9c55-3f4d8a1b2c3d'
const providers = ['GITHUB', 'GITEA', 'GITLAB', 'MICROSOFT', 'OIDC'] as const

export async function startIdentityProvider(): Promise<IdentityProvider> {
  const [own, foreign] = [await generateKeyPair('RS256'), await generateKeyPair('RS256')]
  const jwk = { ...(await exportJWK(own.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }
  const codes = new Map<string, Code>()
  const people = new Map<string, Person>()
  const tokens: string[] = []
  let how: Misbehaviour = {}
  let seated: Person | undefined
  let url = ''
  let written = 0
  const idToken = (issuer: string, { person, query }: Code) =>
    sign(how.foreignKey ? foreign.privateKey : own.privateKey, {
      iss: issuer,
      aud: query.get('client_id'),
      sub: String(person.id),
      nonce: query.get('nonce'),
      preferred_username: person.username,
      email: person.email,
      email_verified: person.verified,
      // OIDC Core §2: told when an age was asked for.
      ...(query.has('max_age') && { auth_time: Math.floor(Date.now() / 1000) }),
      ...how.claims,
    })
  const redeem = async (request: IncomingMessage, issuer: string | undefined) => {
    const form = new URLSearchParams(await bodyOf(request))
    const code = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    if (!code || !isGenuine(form, code.query)) return { error: 'invalid_grant' }
    const access_token = `upstream-${randomUUID()}`
    people.set(access_token, code.person)
    const id_token = issuer === undefined ? undefined : await idToken(issuer, code)
    tokens.push(access_token, ...(id_token === undefined ? [] : [id_token]))
    return { access_token, token_type: 'bearer', scope: 'all', id_token }
  }
  const answer = async (request: IncomingMessage): Promise<unknown> => {
    const path = new URL(request.url ?? '/', url).pathname
    if (how.failing?.test(path)) return undefined
    const issuer = issuerOf(url, path)
    if (path.endsWith('/.well-known/openid-configuration'))
      return { ...metadata(url, issuer ?? url, jwk), ...how.metadata }
    if (path.endsWith('/jwks')) return { keys: [jwk] }
    if (/token$/.test(path)) return redeem(request, issuer)
    const person = people.get((request.headers.authorization ?? '').replace(/^bearer /i, ''))
    return person && describePerson(path, person)
  }
  const approve = (location: string, person: Person) => {
    const { searchParams: query } = new URL(location)
    const code = randomUUID()
    codes.set(code, { person, query })
    return new URLSearchParams({ code, state: query.get('state') ?? '' })
  }
  const sendBack = (address: URL, response: ServerResponse) => {
    const state = address.searchParams.get('state') ?? ''
    const answer = seated
      ? approve(address.href, seated)
      : new URLSearchParams({ error: 'access_denied', error_description: 'evil words', state })
    const location = `${address.searchParams.get('redirect_uri')}?${answer}`
    response.writeHead(302, { location }).end()
  }
  const server = createServer((request, response) => {
    const address = new URL(request.url ?? '/', url)
    if (address.pathname.endsWith('/authorize')) return sendBack(address, response)
    if (how.endless && address.pathname.endsWith(how.endless))
      return void pour(response, (bytes) => {
        written += bytes
      })
    answer(request)
      .then((body) => send(response, body))
      .catch(() => response.writeHead(500).end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    tokens,
    settings: settingsFor(url),
    approve,
    seat(person) {
      seated = person
    },
    misbehave(next) {
      how = next
      written = 0
    },
    written: () => written,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const settingsFor = (url: string): Record<string, string> => ({
  ...Object.fromEntries(
    providers.flatMap((name) => [
      [`${name}_CLIENT_ID`, `authgate-${name}`],
      [`${name}_CLIENT_SECRET`, clientSecret],
    ]),
  ),
  GITHUB_URL: url,
  GITEA_URL: url,
  GITLAB_URL: url,
  MICROSOFT_URL: url,
  MICROSOFT_TENANT_ID: tenant,
  OIDC_ISSUER: url,
  OIDC_NAME: 'Example ID',
})

/** Where ID tokens come from; the others give none. */
function issuerOf(url: string, path: string): string | undefined {
  if (path.startsWith(`/${tenant}/`)) return `${url}/${tenant}/v2.0`
  return path.startsWith('/oidc/') ? url : undefined
}

const metadata = (url: string, issuer: string, { alg }: JWK & { alg: string }) => {
  const base = issuer === url ? `${url}/oidc` : issuer
  return {
    issuer,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    jwks_uri: `${base}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [alg],
  }
}

const isGenuine = (form: URLSearchParams, query: URLSearchParams) =>
  form.get('client_secret') === clientSecret &&
  form.get('client_id') === query.get('client_id') &&
  form.get('redirect_uri') === query.get('redirect_uri') &&
  query.get('code_challenge_method') === 'S256' &&
  createHash('sha256')
    .update(form.get('code_verifier') ?? '')
    .digest('base64url') === query.get('code_challenge')

function describePerson(path: string, { id, username, email, verified }: Person): unknown {
  if (path.endsWith('/emails'))
    return email === undefined ? [] : [{ email, primary: true, verified }]
  const confirmed_at = verified ? '2026-01-01T00:00:00Z' : null
  return { id, login: username, username, email, confirmed_at, name: 'Ada Upstream' }
}

const sign = (key: CryptoKey, claims: Record<string, unknown>) =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'RS256', kid: 'one' })
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(key)

function send(response: ServerResponse, body: unknown) {
  const failed = body === undefined || (body as { error?: unknown }).error !== undefined
  response.writeHead(failed ? 400 : 200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body ?? { error: 'invalid_request' }))
}

/** JSON that goes on and on, as fast as it is read. */
async function pour(response: ServerResponse, count: (bytes: number) => void) {
  const part = Buffer.alloc(64 * 1024, 'x')
  response.writeHead(200, { 'content-type': 'application/json' })
  response.write('{"x":"')
  for (let parts = 0; parts < 1024 && !response.destroyed; parts += 1) {
    if (!response.write(part))
      await Promise.race([once(response, 'drain'), once(response, 'close')])
    count(part.length)
  }
  response.end('"}')
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

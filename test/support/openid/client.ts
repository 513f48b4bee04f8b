/** A client of the suite: it registers itself as the suite does, sends people to sign in, and asks for tokens. */
import { createHash } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { initialAccessToken, type Person, type Suite } from './suite.ts'
import type { Outcome } from './walk.ts'

export interface Client {
  readonly clientId: string
  readonly secret: string | undefined
  readonly authentication: Authentication
  readonly redirectUri: string
  readonly key: ClientKey
  /** Everything the registration endpoint answered. */
  readonly registered: Readonly<Record<string, unknown>>
}

type Authentication = 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt' | 'none'

export interface ClientKey {
  readonly alg: string
  readonly privateKey: CryptoKey
  /** The public half, as it is registered. */
  readonly jwk: JWK
}

/** The suite's keys for dynamic registration name their algorithm, and no `kid` unless a module needs one. */
export async function createClientKey(alg = 'RS256', kid?: string): Promise<ClientKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = {
    ...(await exportJWK(publicKey)),
    alg,
    use: 'sig',
    ...(kid !== undefined && { kid }),
  }
  return { alg, privateKey, jwk }
}

export const callback = 'https://suite.example.test/test/a/authgate/callback'

let sharedKey: Promise<ClientKey> | undefined

export interface Registration {
  readonly authentication?: Authentication
  readonly key?: ClientKey
  /** Beside or instead of what the suite always sends; undefined leaves a field out. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** What the suite sends to the registration endpoint: never a scope. */
export async function registrationRequest({
  authentication = 'client_secret_basic',
  key,
  metadata = {},
}: Registration = {}) {
  sharedKey ??= createClientKey()
  const { jwk } = key ?? (await sharedKey)
  return {
    client_name: `OIDF conformance test ${randomText(15)}`,
    grant_types: ['authorization_code'],
    jwks: { keys: [jwk] },
    token_endpoint_auth_method: authentication,
    response_types: ['code'],
    redirect_uris: [callback],
    contacts: ['certification@oidf.org'],
    ...metadata,
  }
}

export const postRegistration = ({ metadata }: Suite, request: object) =>
  fetch(metadata.registration_endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      authorization: `Bearer ${initialAccessToken}`,
    },
    body: JSON.stringify(request),
  })

export async function register(suite: Suite, registration: Registration = {}): Promise<Client> {
  const request = await registrationRequest(registration)
  const response = await postRegistration(suite, request)
  const registered = (await response.json()) as Record<string, unknown>
  if (response.status !== 201) throw new Error(`not registered: ${JSON.stringify(registered)}`)
  const { authentication = 'client_secret_basic', key } = registration
  return {
    clientId: String(registered['client_id']),
    secret: registered['client_secret'] as string | undefined,
    authentication,
    redirectUri: request.redirect_uris[0] ?? callback,
    key: key ?? ((await sharedKey) as ClientKey),
    registered,
  }
}

export const randomText = (length = 10) =>
  Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) =>
    'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.charAt(byte % 62),
  ).join('')

export type Parameters = Readonly<Record<string, string | undefined>>

/** The request that the suite makes where a module asks for nothing else: no PKCE, and a nonce although it is a code. */
export function authorizationRequest(client: Client, more: Parameters = {}) {
  const all: Parameters = {
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    scope: 'openid',
    state: randomText(),
    nonce: randomText(),
    response_type: 'code',
    ...more,
  }
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

export const addressOf = (endpoint: string, parameters: Readonly<Record<string, string>>) =>
  `${endpoint}?${new URLSearchParams(parameters)}`

export interface Authorized {
  readonly request: Readonly<Record<string, string>>
  readonly outcome: Outcome
  /** What came back to the client. */
  readonly answer: Readonly<Record<string, string>>
  readonly code: string
}

/** One authorization; throws where the browser is not sent back with a code. */
export async function authorize(
  suite: Suite,
  { client, person, more }: { client: Client; person: Person; more?: Parameters },
  how: { method?: 'GET' | 'POST' } = {},
): Promise<Authorized> {
  const request = authorizationRequest(client, more)
  const address = addressOf(suite.metadata.authorization_endpoint, request)
  const outcome = await person.visit(address, how)
  const answer = outcome.callback?.parameters ?? {}
  if (answer['code'] === undefined)
    throw new Error(`no code: ${JSON.stringify(answer)} ${outcome.pages.at(-1) ?? ''}`)
  return { request, outcome, answer, code: answer['code'] }
}

export interface TokenAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>> & TokenFields
}

interface TokenFields {
  readonly access_token: string
  readonly id_token: string
  readonly refresh_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly error?: string
  readonly error_description?: string
}

/** A request to the token endpoint, authenticated the way the client is registered. */
export async function requestTokens(
  suite: Suite,
  client: Client,
  fields: Readonly<Record<string, string>>,
  { assertion }: { readonly assertion?: string } = {},
): Promise<TokenAnswer> {
  const form = new URLSearchParams(fields)
  const headers: Record<string, string> = { accept: 'application/json' }
  if (client.authentication === 'client_secret_basic') {
    const pair = [client.clientId, client.secret ?? ''].map(encodeURIComponent).join(':')
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`
  } else if (client.authentication === 'private_key_jwt') {
    form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    form.set('client_assertion', assertion ?? (await signAssertion(suite, client)))
  } else {
    form.set('client_id', client.clientId)
    if (client.secret !== undefined) form.set('client_secret', client.secret)
  }
  const response = await fetch(suite.metadata.token_endpoint, {
    method: 'POST',
    headers,
    body: form,
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as TokenAnswer['body'],
  }
}

/** The suite's assertion: good for a minute, meant for the token endpoint unless a module says otherwise. */
export function signAssertion(
  { metadata }: Suite,
  { clientId, key }: Client,
  claims: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const { kid } = key.jwk
  return new SignJWT({
    iss: clientId,
    sub: clientId,
    aud: metadata.token_endpoint,
    jti: randomText(20),
    iat: now,
    exp: now + 60,
    ...claims,
  })
    .setProtectedHeader({ alg: key.alg, ...(kid !== undefined && { kid }) })
    .sign(key.privateKey)
}

export const codeGrant = (client: Client, { code }: Pick<Authorized, 'code'>) => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: client.redirectUri,
})

/** As `oidcc-ensure-request-with-valid-pkce-succeeds` makes it. */
export function pkce() {
  const verifier = randomText(64)
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  return { verifier, parameters: { code_challenge: challenge, code_challenge_method: 'S256' } }
}

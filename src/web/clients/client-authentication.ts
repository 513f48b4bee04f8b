/**
 * Who the client is (RFC 6749 §2.3): HTTP Basic, secret in the body, an assertion it has signed (RFC 7523), or a public
 * client that merely names itself. Each client has the method it is registered with; a secret may come in either way.
 */
import { decodeJwt } from 'jose'
import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { ClientKeys } from '#/domain/clients/client-keys.ts'
import { isActiveClient } from '#/domain/clients/client-state.ts'
import type { VersionedClient } from '#/domain/clients/client-version.ts'
import { type Client, isClientSecret } from '#/domain/clients/clients.ts'
import { verifyClientAssertion } from '#/domain/proofs/client-assertion.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { ProofError } from '#/protocol/proofs.ts'
import { isStorable } from '#/protocol/storable.ts'
import type { ClientAuthenticationMethod } from '#/protocol/vocabulary.ts'
import type { AppContext } from '#/web/request/context.ts'

export interface ClientAuthentication {
  readonly db: Database
  readonly issuer: string
  readonly clients: ReadCache<VersionedClient>
  readonly clientKeys: ClientKeys
  /** Whether a client must prove who it is: naming oneself, as public clients do, is not enough. */
  readonly confidentialOnly?: boolean
}

interface Credentials {
  readonly method: ClientAuthenticationMethod
  readonly clientId: string
  /** A secret or an assertion. */
  readonly proof: string | undefined
}

/** RFC 7523 §2.2. */
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/**
 * The client that sent this request. Throws `invalid_request` for two methods at once or none at all, and
 * `invalid_client` for everything else, without telling which part was wrong.
 */
export async function authenticateClient(
  c: AppContext,
  options: ClientAuthentication,
  form: ReadonlyMap<string, string>,
): Promise<VersionedClient> {
  const credentials = readCredentials(c.req.header('authorization'), form, options)
  const client = credentials && (await options.clients.get(credentials.clientId))
  if (client) c.set('clientId', client.clientId)
  const { authenticated, cause } =
    credentials && client ? await verify(c, options, { client, credentials }) : nobody
  const method = credentials?.method ?? 'client_secret_basic'
  c.var.recorder.clientAuthenticated(method, authenticated ? 'success' : 'failure')
  if (!client || !authenticated) {
    // RFC 6749 §5.2: the challenge names the scheme.
    c.header('www-authenticate', 'Basic realm="authgate", charset="UTF-8"')
    throw new OAuthError('invalid_client', 'client authentication failed', { cause })
  }
  return client
}

interface Verification {
  readonly authenticated: boolean
  /** For the log. */
  readonly cause?: unknown
}

const nobody: Verification = { authenticated: false }

async function verify(
  c: AppContext,
  options: ClientAuthentication,
  shown: { client: Client; credentials: Credentials },
): Promise<Verification> {
  if (!isActiveClient(shown.client)) return nobody
  try {
    return { authenticated: await proves(c, options, shown) }
  } catch (cause) {
    if (cause instanceof ProofError) return { authenticated: false, cause }
    throw cause
  }
}

/** Undefined when they are unreadable, of another scheme, or missing where they are a must. */
function readCredentials(
  authorization: string | undefined,
  form: ReadonlyMap<string, string>,
  { confidentialOnly }: Pick<ClientAuthentication, 'confidentialOnly'>,
): Credentials | undefined {
  const bodyId = form.get('client_id')
  const bodySecret = form.get('client_secret')
  const hasAssertion = form.has('client_assertion') || form.has('client_assertion_type')
  // RFC 6749 §2.3: no more than one method in each request.
  if (
    [authorization !== undefined, bodySecret !== undefined, hasAssertion].filter(Boolean).length > 1
  )
    throw new OAuthError('invalid_request', 'use only one client authentication method')
  if (hasAssertion) return readAssertion(form)
  if (authorization !== undefined) {
    const basic = parseBasic(authorization)
    if (basic && bodyId !== undefined && bodyId !== basic.clientId)
      throw new OAuthError('invalid_request', 'client_id names another client')
    // RFC 6749 §2.3.1: an empty secret is none at all; public clients that know only Basic send it.
    if (basic?.proof === '') return { method: 'none', clientId: basic.clientId, proof: undefined }
    return basic && { method: 'client_secret_basic', ...basic }
  }
  if (bodyId === undefined) {
    // RFC 6749 §5.2: where authentication is a must, none at all is a failed one.
    if (confidentialOnly) return undefined
    throw new OAuthError('invalid_request', 'client_id is missing')
  }
  const method = bodySecret === undefined ? 'none' : 'client_secret_post'
  return { method, clientId: bodyId, proof: bodySecret }
}

/** RFC 7521 §4.2: `client_id` may be left out, and the assertion says whose it is. */
function readAssertion(form: ReadonlyMap<string, string>): Credentials {
  const proof = form.get('client_assertion')
  if (proof === undefined || form.get('client_assertion_type') !== assertionType)
    throw new OAuthError(
      'invalid_request',
      'client_assertion requires the client_assertion_type jwt-bearer',
    )
  const clientId = form.get('client_id') ?? assertedSubject(proof) ?? ''
  return { method: 'private_key_jwt', clientId, proof }
}

function assertedSubject(assertion: string): string | undefined {
  try {
    const { sub } = decodeJwt(assertion)
    return typeof sub === 'string' && isStorable(sub) ? sub : undefined
  } catch {
    return undefined
  }
}

/** Whether the credentials are what this client is registered to show. Throws a `ProofError` for a wrong assertion. */
async function proves(
  c: AppContext,
  { db, issuer, clientKeys, confidentialOnly }: ClientAuthentication,
  { client, credentials: { method, proof } }: { client: Client; credentials: Credentials },
): Promise<boolean> {
  const registered = client.tokenEndpointAuthMethod
  if (registered === 'none') return method === 'none' && !confidentialOnly
  if (proof === undefined) return false
  if (registered !== 'private_key_jwt')
    return method !== 'private_key_jwt' && isClientSecret(client, proof)
  if (method !== 'private_key_jwt') return false
  // FAPI 2.0 §5.3.2.1: the issuer alone, for clients that are held to it; others may know no better (OIDC Core §9).
  const audiences = client.requirePushedAuthorizationRequests
    ? [issuer]
    : [issuer, `${issuer}/oauth/token`, `${issuer}${c.req.path}`]
  const { now } = c.var
  await verifyClientAssertion(db, clientKeys, { assertion: proof, client, audiences, now })
  return true
}

/** RFC 7617, with both parts form-encoded first (RFC 6749 §2.3.1). */
function parseBasic(header: string): { clientId: string; proof: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(header)?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  if (colon < 0) return undefined
  const clientId = formDecode(pair.slice(0, colon))
  const proof = formDecode(pair.slice(colon + 1))
  return clientId === undefined || proof === undefined ? undefined : { clientId, proof }
}

function formDecode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '))
    return isStorable(decoded) ? decoded : undefined
  } catch {
    return undefined
  }
}

/**
 * Request objects (JAR, RFC 9101; OIDC Core §6): authorization parameters in a JWT that the client signed. What they
 * say replaces the parameters beside them; here they are only verified and turned into parameters.
 */
import { decodeProtectedHeader, type JWTPayload, UnsecuredJWT } from 'jose'
import type { Database } from '#/database/client.ts'
import type { ClientKeys, KeyedClient } from '#/domain/clients/client-keys.ts'
import {
  algorithmsOf,
  clockSkewSeconds,
  jwtType,
  ProofError,
  ReplayedProofError,
} from '#/protocol/proofs.ts'
import { isStorableValue } from '#/protocol/storable.ts'
import { consumeProof } from './used-proofs.ts'

interface RequestingClient extends KeyedClient {
  readonly requestObjectSigningAlg: string | null
  readonly requireSignedRequestObject: boolean
}

export interface PresentedRequestObject {
  readonly requestObject: string
  readonly client: RequestingClient
  readonly issuer: string
  readonly now: Date
}

const hour = 60 * 60
/** How long a `jti` is remembered that does not say how long it is good for. */
const memorySeconds = 24 * hour

/**
 * The parameters inside; a list of resources (RFC 8707) repeats, structures are JSON texts. Throws a `ProofError`, which is to be
 * answered as `invalid_request_object` (RFC 9101 §6). Uses up its `jti`.
 */
export async function verifyRequestObject(
  db: Database,
  keys: ClientKeys,
  presented: PresentedRequestObject,
): Promise<URLSearchParams> {
  const { client, now } = presented
  const { payload, typed } = await open(keys, presented).catch((cause: unknown) => {
    throw new ProofError('the request object is not valid', { cause })
  })
  if (!isStorableValue(payload))
    throw new ProofError('the request object contains text that cannot be stored')
  requireClaims(payload, { ...presented, typed })
  const latest = now.getTime() / 1000 + memorySeconds
  const { jti, exp = latest } = payload
  if (jti !== undefined) {
    if (exp > latest) throw new ProofError('the request object lives too long to be remembered')
    const expiresAt = new Date((exp + clockSkewSeconds) * 1000)
    const use = { kind: 'request_object', owner: client.clientId, jti, expiresAt } as const
    if (!(await consumeProof(db, use)))
      throw new ReplayedProofError('the request object was used before')
  }
  return parametersOf(payload)
}

async function open(keys: ClientKeys, { requestObject, client, now }: PresentedRequestObject) {
  const { alg, typ } = decodeProtectedHeader(requestObject)
  const typed = requireType(typ)
  const times = { clockTolerance: clockSkewSeconds, currentDate: now }
  const { requestObjectSigningAlg: registered } = client
  if (alg === 'none' && registered === 'none' && !client.requireSignedRequestObject)
    return { payload: UnsecuredJWT.decode(requestObject, times).payload, typed: false }
  const algorithms = algorithmsOf(registered)
  const { payload } = await keys.verify(client, requestObject, { ...times, algorithms })
  return { payload, typed }
}

/** RFC 9101 §10.8: a JWT made for something else is none; answers whether it says what it is. */
function requireType(typ: string | undefined): boolean {
  const type = jwtType(typ)
  if (!['jwt', 'oauth-authz-req+jwt'].includes(type)) throw new Error('it is a JWT of another type')
  return type === 'oauth-authz-req+jwt'
}

function requireClaims(
  payload: JWTPayload,
  { client, issuer, typed, now }: PresentedRequestObject & { readonly typed: boolean },
) {
  const { iss, aud, exp, nbf, jti, client_id: clientId } = payload
  const strict = client.requireSignedRequestObject
  const refuse = (message: string) => {
    throw new ProofError(`the request object ${message}`)
  }
  // RFC 9101 §4, and who speaks and to whom is not left open where the object says that it is one.
  if ((typed || strict || iss !== undefined) && iss !== client.clientId)
    refuse('has another issuer')
  if ((typed || strict || aud !== undefined) && ![aud].flat().includes(issuer))
    refuse('has another audience')
  // RFC 9101 §6.3.
  if (clientId !== undefined && clientId !== client.clientId) refuse('has another client_id')
  // RFC 9101 §4.
  if ('request' in payload || 'request_uri' in payload) refuse('contains another request object')
  if (jti !== undefined && (typeof jti !== 'string' || jti === '')) refuse('has no valid jti')
  if (strict && !isShortLived(exp, nbf, now)) refuse('lives too long')
}

/** FAPI 2.0 Message Signing §5.3.2: made within the hour, and good for an hour at most. */
const isShortLived = (exp: number | undefined, nbf: number | undefined, now: Date) =>
  exp !== undefined &&
  nbf !== undefined &&
  exp - nbf <= hour &&
  nbf >= now.getTime() / 1000 - hour - clockSkewSeconds

/** RFC 9101 §4: claims of the JWT itself that are no parameters. */
const ownClaims = new Set(['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'jti'])

function parametersOf(payload: JWTPayload): URLSearchParams {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(payload)) {
    if (ownClaims.has(name) || value === null || value === undefined) continue
    if (name === 'resource' && Array.isArray(value))
      for (const one of value) parameters.append(name, String(one))
    else parameters.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value))
  }
  return parameters
}

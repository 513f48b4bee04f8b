/** Access tokens that are shown to this server itself (RFC 6750, RFC 9449 §7): read, verified, bound to their key. */
import type { Database } from '#/database/client.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { findLiveAccessToken, type LiveToken } from '#/domain/tokens/tokens.ts'
import { verifyAccessToken } from '#/domain/tokens/verify-access-token.ts'
import { dpopSigningAlgorithms } from '#/protocol/dpop.ts'
import { OAuthError } from '#/protocol/errors.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { consumeDpopProof, type DpopOptions, readDpopProof } from './dpop.ts'

export interface AccessTokenOptions {
  readonly db: Database
  readonly issuer: string
  readonly keys: () => Promise<KeySet>
  readonly dpop: DpopOptions
  /** Whether tokens that were made for others are read as well; else only those for this server. */
  readonly anyAudience?: boolean
  /** Whether the scheme may be missing, as old clients leave it out. */
  readonly bareToken?: boolean
}

interface Presented {
  readonly scheme: 'bearer' | 'dpop'
  readonly token: string
}

const status = 401

/** The live token of a request; undefined when it shows none. Throws for every other. */
export async function readAccessToken(
  c: AppContext,
  options: AccessTokenOptions,
): Promise<LiveToken | undefined> {
  const presented = await readPresented(c, options)
  if (!presented) return undefined
  const { scheme, token } = presented
  const proof =
    scheme === 'dpop'
      ? await readDpopProof(c, options.dpop, { accessToken: token, status })
      : undefined
  if (scheme === 'dpop' && !proof)
    throw new OAuthError('invalid_dpop_proof', 'the DPoP proof is missing', { status })
  const live = await requireLive(c, options, { token, jkt: proof?.jkt ?? null })
  c.set('clientId', live.client.clientId)
  if (live.user) c.set('userId', live.user.id)
  if (proof) await consumeDpopProof(c, options.db, { proof, status })
  await c.var.underCeiling?.countToken(live.token.id)
  return live
}

/** RFC 6750 §3.1: no token, no error code; bare challenges, of both schemes (RFC 9449 §7.1). */
export function challengeForToken(c: AppContext) {
  c.header('www-authenticate', bareChallenge)
  return c.body(null, status)
}

/** RFC 6750 §3, RFC 9449 §7.1: the challenge of a refusal, under the scheme that was tried. */
export function refusalChallenge(authorization: string | undefined, error: OAuthError): string {
  if (error.code === 'missing_token') return bareChallenge
  const reason = `error="${error.code}", error_description="${error.message}"`
  return /^DPoP /i.test(authorization ?? '')
    ? `DPoP realm="authgate", ${reason}, ${dpopAlgorithms}`
    : `Bearer realm="authgate", ${reason}`
}

const dpopAlgorithms = `algs="${dpopSigningAlgorithms.join(' ')}"`

const bareChallenge = `Bearer realm="authgate", DPoP ${dpopAlgorithms}`

async function requireLive(
  c: AppContext,
  { db, issuer, keys, anyAudience }: AccessTokenOptions,
  presented: { readonly token: string; readonly jkt: string | null },
): Promise<LiveToken> {
  const start = performance.now()
  const { now } = c.var
  const expected = { issuer, audience: anyAudience ? undefined : issuer, now }
  const verified = await verifyAccessToken(await keys(), presented.token, expected)
  const live =
    verified.result === 'valid' ? await findLiveAccessToken(db, verified.id, now) : undefined
  // RFC 9449 §7.1 and §7.2: a bound token with its key, any other one without.
  const isBound = live?.token.dpopJkt === presented.jkt
  const result = live && isBound ? 'valid' : verified.result === 'expired' ? 'expired' : 'invalid'
  c.var.recorder.tokenValidated(result, (performance.now() - start) / 1000)
  if (live && isBound) return live
  throw new OAuthError(
    'invalid_token',
    `the access token is ${result === 'expired' ? 'expired' : 'not valid'}`,
  )
}

/** RFC 6750 §2.1 and §2.2: in the header or in a form body, never both; never in the query. */
async function readPresented(
  c: AppContext,
  { bareToken }: Pick<AccessTokenOptions, 'bareToken'>,
): Promise<Presented | undefined> {
  const shape = bareToken ? withOrWithoutScheme : withScheme
  const [, scheme, token] = shape.exec(c.req.header('authorization') ?? '') ?? []
  const isForm =
    c.req.method === 'POST' &&
    c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded')
  const body = isForm ? (await readForm(c)).get('access_token') : undefined
  if (token !== undefined && body !== undefined) {
    throw new OAuthError('invalid_request', 'send the access token in one place only')
  }
  if (token !== undefined)
    return { scheme: /^dpop$/i.test(scheme ?? '') ? 'dpop' : 'bearer', token }
  return body === undefined ? undefined : { scheme: 'bearer', token: body }
}

const withScheme = /^(Bearer|DPoP) +([A-Za-z0-9._~+/-]+=*)$/i
const withOrWithoutScheme = /^(?:(Bearer|DPoP) +)?([A-Za-z0-9._~+/-]+=*)$/i

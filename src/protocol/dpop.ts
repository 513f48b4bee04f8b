/** DPoP proofs, RFC 9449: a JWT by which a client shows, for one request, that it holds a key. */
import {
  calculateJwkThumbprint,
  decodeProtectedHeader,
  EmbeddedJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
} from 'jose'
import { proofSigningAlgorithms } from './proofs.ts'
import { sha256 } from './secrets.ts'

/** RFC 9449 §5.1 and §11.6: what a proof may be signed with. */
export const dpopSigningAlgorithms = proofSigningAlgorithms

/** How far `iat` may be from our clock, in either direction, unless told otherwise. */
const dpopMaxAgeSeconds = 60

export interface DpopExpectation {
  readonly method: string
  /** Of the request, as clients know it. */
  readonly url: string
  /** The access token it comes with; undefined where there is none yet. */
  readonly accessToken?: string | undefined
  /** Whether a nonce is one of ours; undefined accepts a proof without one. */
  readonly isNonce?: ((nonce: string) => boolean) | undefined
  readonly maxAgeSeconds?: number
  readonly now: Date
}

interface DpopProof {
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string
  readonly jti: string
  /** When it is refused for its age: how long its `jti` has to be remembered. */
  readonly expiresAt: Date
}

export type VerifiedDpopProof =
  | { readonly result: 'valid'; readonly proof: DpopProof }
  /** It holds, but for a nonce of ours, RFC 9449 §8. */
  | { readonly result: 'nonce_missing' }
  | { readonly result: 'invalid'; readonly cause: unknown }

/** RFC 9449 §4.3, all but the single use of `jti`: that is the database's word. */
export async function verifyDpopProof(
  proof: string,
  expected: DpopExpectation,
): Promise<VerifiedDpopProof> {
  try {
    const jwk = requirePublicJwk(decodeProtectedHeader(proof).jwk)
    const { payload } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [...dpopSigningAlgorithms],
      currentDate: expected.now,
    })
    const { jti, iat } = requireClaims(payload, expected)
    if (expected.isNonce) {
      const { nonce } = payload
      if (typeof nonce !== 'string' || !expected.isNonce(nonce)) return { result: 'nonce_missing' }
    }
    const { maxAgeSeconds = dpopMaxAgeSeconds } = expected
    const expiresAt = new Date((iat + maxAgeSeconds) * 1000)
    return { result: 'valid', proof: { jkt: await calculateJwkThumbprint(jwk), jti, expiresAt } }
  } catch (cause) {
    return { result: 'invalid', cause }
  }
}

/** RFC 9449 §4.3 point 7; RFC 7518 §6: what only a private or shared key has. */
function requirePublicJwk(jwk: JWK | undefined): JWK {
  if (
    jwk === undefined ||
    ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].some((name) => name in jwk)
  )
    throw new Error('jwk is not a public key')
  return jwk
}

function requireClaims(
  { jti, iat, htm, htu, ath }: JWTPayload & { htm?: unknown; htu?: unknown; ath?: unknown },
  { method, url, accessToken, maxAgeSeconds = dpopMaxAgeSeconds, now }: DpopExpectation,
) {
  if (typeof jti !== 'string' || jti === '') throw new Error('jti is missing')
  if (htm !== method) throw new Error('htm is another method')
  if (typeof htu !== 'string' || !isSameAddress(htu, url)) throw new Error('htu is another address')
  // RFC 9449 §11.1.
  if (iat === undefined || Math.abs(now.getTime() / 1000 - iat) > maxAgeSeconds)
    throw new Error('iat is too far from now')
  if (accessToken !== undefined && ath !== sha256(accessToken))
    throw new Error('ath is of another token')
  return { jti, iat }
}

/** RFC 9449 §4.3 point 9: without query and fragment, after the URL standard's normalization. */
function isSameAddress(htu: string, url: string): boolean {
  const bare = (text: string) => {
    const { origin, pathname } = new URL(text)
    return `${origin}${pathname}`
  }
  return URL.canParse(htu) && bare(htu) === bare(url)
}

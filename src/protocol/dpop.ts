/** DPoP proofs, RFC 9449: a JWT by which a client shows, for one request, that it holds a key. */
import {
  calculateJwkThumbprint,
  decodeProtectedHeader,
  EmbeddedJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
} from 'jose'
import { type DpopNonces, nonceLifetimeMs } from './dpop-nonces.ts'
import { isOfBoundedSize } from './key-size.ts'
import { clockSkewSeconds } from './proofs.ts'
import { sha256 } from './secrets.ts'

/** RFC 9449 §11.6: what a proof may be signed with, as FAPI 2.0 has it (§5.4.1). RFC 9864 renames EdDSA. */
export const dpopSigningAlgorithms = ['ES256', 'PS256', 'EdDSA', 'Ed25519'] as const

/** How far `iat` may be from our clock, in either direction, where no nonce tells the time. */
const maxAgeSeconds = 60

export interface DpopExpectation {
  readonly method: string
  /** Of the request, as clients know it. */
  readonly url: string
  /** The access token it comes with; undefined where there is none yet. */
  readonly accessToken?: string | undefined
  /** Whose nonces are asked for; undefined accepts a proof without one. */
  readonly nonces?: DpopNonces | undefined
  readonly now: Date
}

export interface DpopProof {
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string
  readonly jti: string
  /** From when on it is too old: how long its `jti` has to be remembered. */
  readonly expiresAt: Date
}

export type VerifiedDpopProof =
  | { readonly result: 'valid'; readonly proof: DpopProof }
  /** Valid but for a missing server nonce (RFC 9449 §8). */
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
      // FAPI 2.0 §5.3.2.1: clocks differ.
      clockTolerance: clockSkewSeconds,
      currentDate: expected.now,
    })
    const { jti, iat } = requireClaims(payload, expected)
    if (expected.nonces && !isFreshNonce(payload['nonce'], expected.nonces, expected.now))
      return { result: 'nonce_missing' }
    const expiresAt = requireFresh(iat, expected)
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
  // Before the signature is verified, so that senders cannot make verification expensive.
  if (!isOfBoundedSize(jwk)) throw new Error('jwk is too small or too large')
  return jwk
}

function requireClaims(
  { jti, iat, htm, htu, ath }: JWTPayload & { htm?: unknown; htu?: unknown; ath?: unknown },
  { method, url, accessToken }: DpopExpectation,
) {
  if (typeof jti !== 'string' || jti === '') throw new Error('jti is missing')
  if (htm !== method) throw new Error('htm does not match the request method')
  if (typeof htu !== 'string' || !isSameAddress(htu, url))
    throw new Error('htu does not match the request address')
  if (iat === undefined) throw new Error('iat is missing')
  if (accessToken !== undefined && ath !== sha256(accessToken))
    throw new Error('ath does not match the access token')
  return { jti, iat }
}

const isFreshNonce = (nonce: unknown, nonces: DpopNonces, now: Date) =>
  typeof nonce === 'string' && nonces.isKnown(nonce, now)

/** RFC 9449 §4.3 point 11: a server nonce dates the proof more reliably than the client's clock. */
function requireFresh(iat: number, { nonces, now }: DpopExpectation): Date {
  if (nonces) return new Date(now.getTime() + nonceLifetimeMs)
  if (Math.abs(now.getTime() / 1000 - iat) > maxAgeSeconds) throw new Error('iat is far from now')
  return new Date((iat + maxAgeSeconds) * 1000)
}

/** RFC 9449 §4.3 point 9: without query and fragment, after the URL standard's normalization. */
function isSameAddress(htu: string, url: string): boolean {
  const bare = (text: string) => {
    const { origin, pathname } = new URL(text)
    return `${origin}${pathname}`
  }
  return URL.canParse(htu) && bare(htu) === bare(url)
}

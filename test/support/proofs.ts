/** What a client signs: keys, assertions, DPoP proofs. */
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose'
import { sha256 } from '#/protocol/secrets.ts'

export interface ProofKey {
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly jwk: JWK
  readonly jkt: string
}

/** A key pair of a client; `kid` is its thumbprint. */
export async function createKey(alg = 'ES256'): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return { alg, privateKey, jwk, jkt: await calculateJwkThumbprint(jwk) }
}

/** The public half as it stands in a `jwks`. */
export const publicJwk = ({ jwk, jkt, alg }: ProofKey) => ({ ...jwk, kid: jkt, alg, use: 'sig' })

export const keySetOf = (...keys: ProofKey[]) => ({ keys: keys.map(publicJwk) })

export const inSeconds = (now: Date, more = 0) => Math.floor(now.getTime() / 1000) + more

type Header = Record<string, unknown>

export const signJwt = (key: ProofKey, claims: JWTPayload, header: Header = {}) =>
  new SignJWT(claims).setProtectedHeader({ alg: key.alg, ...header }).sign(key.privateKey)

export interface Assertion {
  readonly clientId: string
  readonly audience: string | string[]
  readonly now: Date
  readonly claims?: Record<string, unknown>
  readonly header?: Header
}

/** RFC 7523 §2.2. */
export const signAssertion = (
  key: ProofKey,
  { clientId, audience, now, claims = {}, header = {} }: Assertion,
) =>
  signJwt(
    key,
    {
      iss: clientId,
      sub: clientId,
      aud: audience,
      jti: crypto.randomUUID(),
      iat: inSeconds(now),
      exp: inSeconds(now, 60),
      ...claims,
    },
    { kid: key.jkt, ...header },
  )

export interface Proof {
  readonly htm: string
  readonly htu: string
  readonly now: Date
  readonly accessToken?: string
  readonly nonce?: string | undefined
  readonly claims?: Record<string, unknown>
  readonly header?: Header
}

/** RFC 9449 §4.2. */
export const signDpopProof = (
  key: ProofKey,
  { htm, htu, now, accessToken, nonce, claims = {}, header = {} }: Proof,
) =>
  signJwt(
    key,
    {
      jti: crypto.randomUUID(),
      htm,
      htu,
      iat: inSeconds(now),
      ...(accessToken !== undefined && { ath: sha256(accessToken) }),
      ...(nonce !== undefined && { nonce }),
      ...claims,
    },
    { typ: 'dpop+jwt', jwk: key.jwk, ...header },
  )

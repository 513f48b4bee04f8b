import { type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import type { JWTPayload } from 'jose'
import type { SigningAlgorithm } from '#/protocol/vocabulary.ts'
import type { KeySet } from './keys.ts'

const signInPool = promisify<string | null, Buffer, KeyObject, Buffer>(sign)

/** RFC 7518 §3.4: the two numbers side by side, not in DER. */
const inPlace =
  (digest: string | null) =>
  (input: Buffer, key: KeyObject): Buffer =>
    sign(digest, input, { key, dsaEncoding: 'ieee-p1363' })

/**
 * Handing a signature to the thread pool costs a third of one of ES256, so the small ones are made in place. One of
 * RS256 takes ten times as long: that is time in which the event loop can serve others.
 */
const signers = {
  ES256: inPlace('sha256'),
  EdDSA: inPlace(null),
  RS256: (input, key) => signInPool('sha256', input, key),
} satisfies Record<SigningAlgorithm, (input: Buffer, key: KeyObject) => Buffer | Promise<Buffer>>

export interface JwtKind {
  readonly algorithm: SigningAlgorithm
  /** RFC 7515 §4.1.9. */
  readonly typ: string
}

/** A JWT in its compact form (RFC 7519 §7.1), signed with the key of this moment. */
export async function signJwt(
  keys: KeySet,
  { algorithm, typ }: JwtKind,
  claims: JWTPayload,
): Promise<string> {
  const { kid, privateKey } = keys.signing(algorithm)
  const input = `${encode({ alg: algorithm, kid, typ })}.${encode(claims)}`
  const signature = await signers[algorithm](Buffer.from(input), privateKey)
  return `${input}.${signature.toString('base64url')}`
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

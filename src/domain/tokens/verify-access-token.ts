/** Access tokens that come back to us (RFC 9068 §4). Whether one is still live is the database's word. */
import { errors, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { type KeySet, type SigningKey, verificationKey } from '#/domain/keys/keys.ts'
import { isUuid } from '#/protocol/ids.ts'
import { signingAlgorithms } from '#/protocol/vocabulary.ts'

export type VerifiedAccessToken =
  | { readonly result: 'valid'; readonly id: string }
  | { readonly result: 'invalid' | 'expired' }

interface Expected {
  readonly issuer: string
  /** Whom the token must be meant for; undefined for anybody. */
  readonly audience: string | undefined
  readonly now: Date
}

interface Opened {
  readonly id: string
  readonly issuer: string
  readonly audience: readonly string[]
  /** In seconds. */
  readonly expiresAt: number
  readonly key: SigningKey | undefined
}

/** Equal strings hold equal claims and an equal signature: only what depends on the moment is asked again. */
const openedTokens = new LRUCache<string, Opened>({ max: 5000 })

/** Checks signature, type, issuer, audience and lifetime. */
export async function verifyAccessToken(
  keys: KeySet,
  token: string,
  expected: Expected,
): Promise<VerifiedAccessToken> {
  try {
    const opened = recall(keys, token, expected) ?? (await open(keys, token, expected))
    const { id, audience, expiresAt } = opened
    if (expected.audience !== undefined && !audience.includes(expected.audience))
      return { result: 'invalid' }
    const isOver = expiresAt <= Math.floor(expected.now.getTime() / 1000)
    return isOver ? { result: 'expired' } : { result: 'valid', id }
  } catch (error) {
    if (error instanceof errors.JWTExpired) return { result: 'expired' }
    if (error instanceof errors.JOSEError) return { result: 'invalid' }
    // The keys could not be read: that says nothing about the token.
    throw error
  }
}

/** What is remembered lasts no longer than the key that made it true. */
function recall(keys: KeySet, token: string, { issuer }: Expected): Opened | undefined {
  const opened = openedTokens.get(token)
  if (opened?.issuer !== issuer || !opened.key) return undefined
  return keys.byId.get(opened.key.kid)?.publicKey === opened.key.publicKey ? opened : undefined
}

async function open(keys: KeySet, token: string, { issuer, now }: Expected): Promise<Opened> {
  const { payload, protectedHeader } = await jwtVerify(token, verificationKey(keys), {
    typ: 'at+jwt',
    algorithms: [...signingAlgorithms],
    issuer,
    currentDate: now,
    requiredClaims: ['exp', 'jti', 'aud'],
  })
  const { jti, aud = [], exp = 0 } = payload
  if (typeof jti !== 'string' || !isUuid(jti))
    throw new errors.JWTInvalid('the jti is none of ours')
  const key = keys.byId.get(protectedHeader.kid ?? '')
  const opened = { id: jti, issuer, audience: [aud].flat(), expiresAt: exp, key }
  openedTokens.set(token, opened)
  return opened
}

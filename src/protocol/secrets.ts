/** Random secrets and their digests. What we generate has 256 random bits, so a plain SHA-256 is a safe way to store it. */
import { createHash, createHmac, hash, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'

/** 256 random bits, base64url. */
export const randomSecret = (): string => randomBytes(32).toString('base64url')

/** Base64url SHA-256. */
export const sha256 = (value: string): string => hash('sha256', value, 'base64url')

/** Base64url HMAC-SHA-256. */
export const hmac = (key: Uint8Array | string, value: string): string =>
  createHmac('sha256', key).update(value).digest('base64url')

/** What signs and seals, of a list that begins with it; the others only check. Throws where there is none: an empty key is known to all. */
export function newestOf<T>(items: readonly T[]): T {
  const [first] = items
  if (first === undefined) throw new Error('there is no secret')
  return first
}

/** A 256-bit key for one purpose, so that uses of one secret stay independent (RFC 5869). */
export function deriveKey(secret: string, purpose: string): Uint8Array {
  const name = `${purpose}\n${secret}`
  const known = derived.get(name)
  if (known) return known
  const key = new Uint8Array(hkdfSync('sha256', secret, '', `authgate ${purpose}`, 32))
  derived.set(name, key)
  return key
}

/** Secrets and purposes are few, and some keys are wanted for each request. */
const derived = new Map<string, Uint8Array>()

/** Compares in a time that depends on neither content nor length. */
export function constantTimeEqual(a: string, b: string): boolean {
  const digest = (value: string) => createHash('sha256').update(value).digest()
  return timingSafeEqual(digest(a), digest(b))
}

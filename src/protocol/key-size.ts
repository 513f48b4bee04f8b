/** Limits on RSA keys of clients and providers, since a larger key makes verification slower. */

export const rsaBits = { least: 2048, most: 4096 } as const

interface PublicKey {
  readonly kty?: unknown
  readonly n?: unknown
  readonly e?: unknown
}

/** Whether a JWK is no RSA key, or one of 2048 to 4096 bits with a small exponent (RFC 7518 §3.3, §6.3.1). */
export function isOfBoundedSize({ kty, n, e }: PublicKey): boolean {
  if (kty !== 'RSA') return true
  if (typeof n !== 'string' || typeof e !== 'string') return false
  // Without decoding what is far too long.
  if (n.length > rsaBits.most / 4 || e.length > 6) return false
  const bits = bitsOf(Buffer.from(n, 'base64url'))
  return bits >= rsaBits.least && bits <= rsaBits.most
}

function bitsOf(number: Buffer): number {
  const first = number.findIndex((byte) => byte !== 0)
  return first < 0 ? 0 : (number.length - first) * 8 - Math.clz32(number[first] ?? 0) + 24
}

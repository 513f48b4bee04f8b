/** The public keys that a client registers by value (`jwks`, RFC 7591 §2; RFC 7517). */
import { createPublicKey, type webcrypto } from 'node:crypto'
import { z } from 'zod'
import { isOfBoundedSize, rsaBits } from './key-size.ts'

const maxKeys = 20
const text = z.string().regex(/^\P{C}{0,256}$/u)
const number = z.string().regex(/^[A-Za-z0-9_-]{1,1400}$/)
const described = {
  kid: text.optional(),
  use: text.optional(),
  alg: text.optional(),
  key_ops: z.array(text).max(10).optional(),
}

/** The members of a key that are stored; others (certificates, comments) are dropped. */
const publicKey = z.discriminatedUnion('kty', [
  z.object({ kty: z.literal('EC'), ...described, crv: text, x: number, y: number }),
  z.object({ kty: z.literal('RSA'), ...described, n: number, e: number }),
  z.object({ kty: z.literal('OKP'), ...described, crv: text, x: number }),
])

/** RFC 7518 §6.2.2, §6.3.2 and §6.4: what makes a key private or shared. */
const secretMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** A JWK Set of public keys that can be used, or the sentence's end about what is wrong with it. */
export const publicKeySet = z.unknown().transform((value, context) => {
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }
  const set = z.object({ keys: z.array(z.looseObject({})).min(1).max(maxKeys) }).safeParse(value)
  if (!set.success) return refuse(`must be a JWK Set of 1 to ${maxKeys} keys`)
  if (set.data.keys.some((key) => secretMembers.some((member) => member in key)))
    return refuse('must hold public keys only')
  const keys = z.array(publicKey).safeParse(set.data.keys)
  if (!keys.success || !keys.data.every(isUsable))
    return refuse(`must hold EC, OKP or RSA keys (of ${rsaBits.least} to ${rsaBits.most} bits)`)
  return { keys: keys.data }
})

function isUsable(key: z.output<typeof publicKey>): boolean {
  try {
    createPublicKey({ key: key as webcrypto.JsonWebKey, format: 'jwk' })
    return isOfBoundedSize(key)
  } catch {
    return false
  }
}

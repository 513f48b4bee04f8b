/** What lies sealed in the database: AES-256-GCM under a key derived from one of the session secrets. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { deriveKey, sha256 } from '#/protocol/secrets.ts'

/** What is sealed; each has a key of its own. */
export type SealPurpose = 'signing keys' | 'server secrets'

/** Names a secret without giving anything of it away. */
export const nameOfSecret = (secret: string): string =>
  sha256(`authgate secret name ${secret}`).slice(0, 12)

/** The secret that this was sealed with, or an error that says what to set. */
export function requireSecret(sealedWith: string, secrets: readonly string[]): string {
  const secret = secrets.find((candidate) => nameOfSecret(candidate) === sealedWith)
  if (secret === undefined) {
    throw new Error(
      'SESSION_SECRET: none of the secrets opens the signing keys in this database; add the one that sealed them after the new one: new,old.',
    )
  }
  return secret
}

/** Seals a text; two seals of the same text differ. */
export function seal(text: string, secret: string, purpose: SealPurpose): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', deriveKey(secret, purpose), iv)
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url')
}

/** Opens what `seal` made, or throws when it was made otherwise or changed since. */
export function unseal(sealed: string, secret: string, purpose: SealPurpose): string {
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv(
    'aes-256-gcm',
    deriveKey(secret, purpose),
    bytes.subarray(0, 12),
    { authTagLength: 16 },
  )
  decipher.setAuthTag(bytes.subarray(12, 28))
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8')
}

/**
 * Signing keys live in the database, the same for every replica. A private key at rest is sealed (AES-256-GCM) under a
 * key derived from a SESSION_SECRET; at boot everything is re-sealed under the newest one.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { asc, eq } from 'drizzle-orm'
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose'
import type { Database } from '#/database/client.ts'
import { signingKeys } from '#/database/schema/signing-keys.ts'
import { deriveKey, sha256 } from '#/protocol/secrets.ts'

interface SigningKey {
  readonly kid: string
  readonly algorithm: 'ES256'
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

export interface KeySet {
  /** The newest key: what is signed from now on. */
  readonly current: SigningKey
  /** By `kid`: what may still be presented. */
  readonly byId: ReadonlyMap<string, SigningKey>
  /** RFC 7517 §5: the public halves. */
  readonly jwks: { readonly keys: readonly JWK[] }
}

/** Reads and opens all keys, or throws when none of the secrets opens one. */
export async function loadKeySet(db: Database, secrets: readonly string[]): Promise<KeySet> {
  const rows = await db.select().from(signingKeys).orderBy(asc(signingKeys.createdAt))
  const keys = await Promise.all(rows.map((row) => openKey(row, secrets)))
  const current = keys.at(-1)
  if (!current) throw new Error('there is no signing key')
  return {
    current,
    byId: new Map(keys.map((key) => [key.kid, key])),
    jwks: {
      keys: rows.map(
        (row) => ({ ...row.publicJwk, kid: row.kid, alg: row.algorithm, use: 'sig' }) as JWK,
      ),
    },
  }
}

/** Makes the first key, and seals every key under the newest secret. To be called by one replica at a time. */
export async function prepareKeys(
  db: Database,
  secrets: readonly string[],
  now: Date,
): Promise<void> {
  const newest = secrets[0]
  if (newest === undefined) throw new Error('there is no session secret')
  const rows = await db.select().from(signingKeys)
  for (const row of rows.filter((row) => row.sealedWith !== nameOf(newest))) {
    const sealedPrivateJwk = seal(unseal(row.sealedPrivateJwk, secretOf(row, secrets)), newest)
    await db
      .update(signingKeys)
      .set({ sealedPrivateJwk, sealedWith: nameOf(newest) })
      .where(eq(signingKeys.kid, row.kid))
  }
  if (rows.length === 0) await createKey(db, newest, now)
}

async function createKey(db: Database, secret: string, now: Date) {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const publicJwk = await exportJWK(publicKey)
  await db.insert(signingKeys).values({
    kid: await calculateJwkThumbprint(publicJwk),
    algorithm: 'ES256',
    publicJwk: { ...publicJwk },
    sealedPrivateJwk: seal(JSON.stringify(await exportJWK(privateKey)), secret),
    sealedWith: nameOf(secret),
    createdAt: now,
  })
}

type KeyRow = typeof signingKeys.$inferSelect

async function openKey(row: KeyRow, secrets: readonly string[]): Promise<SigningKey> {
  const privateJwk: JWK = JSON.parse(unseal(row.sealedPrivateJwk, secretOf(row, secrets)))
  return {
    kid: row.kid,
    algorithm: row.algorithm,
    privateKey: (await importJWK(privateJwk, row.algorithm)) as CryptoKey,
    publicKey: (await importJWK(row.publicJwk as JWK, row.algorithm)) as CryptoKey,
  }
}

/** Names a secret without giving anything of it away. */
const nameOf = (secret: string) => sha256(`authgate secret name ${secret}`).slice(0, 12)

function secretOf(row: KeyRow, secrets: readonly string[]): string {
  const secret = secrets.find((candidate) => nameOf(candidate) === row.sealedWith)
  if (secret === undefined) {
    throw new Error(
      'SESSION_SECRET: none of the secrets opens the signing keys in this database; write the one they were sealed with after the new one: new,old.',
    )
  }
  return secret
}

function seal(text: string, secret: string): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', deriveKey(secret, 'signing keys'), iv)
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url')
}

function unseal(sealed: string, secret: string): string {
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv(
    'aes-256-gcm',
    deriveKey(secret, 'signing keys'),
    bytes.subarray(0, 12),
  )
  decipher.setAuthTag(bytes.subarray(12, 28))
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8')
}

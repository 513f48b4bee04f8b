import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { announceChange } from '#/database/cache-channel.ts'
import type { Database } from '#/database/client.ts'
import { signingKeys } from '#/database/schema/signing-keys.ts'
import type { SigningAlgorithm } from '#/protocol/vocabulary.ts'
import { nameOfSecret, seal } from './seal.ts'

const generate = promisify(generateKeyPair)

const generators = {
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  // RFC 7518 §3.3: 2048 bits or more.
  RS256: () => generate('rsa', { modulusLength: 2048 }),
  // RFC 8037 §3.1.
  EdDSA: () => generate('ed25519'),
} satisfies Record<SigningAlgorithm, unknown>

/** Publishes a new key that will sign from `activatesAt`, and announces it to every replica. */
export async function createKey(
  tx: Database,
  algorithm: SigningAlgorithm,
  { secret, now, activatesAt }: { secret: string; now: Date; activatesAt: Date },
): Promise<void> {
  const { publicKey, privateKey } = await generators[algorithm]()
  const publicJwk = publicKey.export({ format: 'jwk' })
  await tx.insert(signingKeys).values({
    kid: await calculateJwkThumbprint(publicJwk as JWK),
    algorithm,
    publicJwk: { ...publicJwk },
    sealedPrivateJwk: seal(
      JSON.stringify(privateKey.export({ format: 'jwk' })),
      secret,
      'signing keys',
    ),
    sealedWith: nameOfSecret(secret),
    createdAt: now,
    activatesAt,
  })
  await announceChange(tx, 'keys')
}

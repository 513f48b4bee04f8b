import { and, eq, ne } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { serverSecrets } from '#/database/schema/server-secrets.ts'
import { signingKeys } from '#/database/schema/signing-keys.ts'
import { newestOf, randomSecret } from '#/protocol/secrets.ts'
import { signingAlgorithms } from '#/protocol/vocabulary.ts'
import { createKey } from './create-key.ts'
import { nameOfSecret, requireSecret, type SealPurpose, seal, unseal } from './seal.ts'

export interface PreparedKeys {
  readonly created: number
  readonly resealed: number
}

/**
 * Makes the first key of each algorithm, and seals everything under the newest secret. To be called before anybody uses
 * the database, by one replica at a time.
 */
export async function prepareKeys(
  db: Database,
  secrets: readonly string[],
  now: Date,
): Promise<PreparedKeys> {
  const secret = newestOf(secrets)
  const resealed = await resealKeys(db, secrets)
  await resealServerSecrets(db, secrets)
  const present = await db.selectDistinct({ algorithm: signingKeys.algorithm }).from(signingKeys)
  const missing = signingAlgorithms.filter(
    (algorithm) => !present.some((row) => row.algorithm === algorithm),
  )
  for (const algorithm of missing) await createKey(db, algorithm, { secret, now, activatesAt: now })
  await db
    .insert(serverSecrets)
    .values({
      name: 'subject',
      sealedValue: seal(randomSecret(), secret, 'server secrets'),
      sealedWith: nameOfSecret(secret),
    })
    .onConflictDoNothing()
  return { created: missing.length, resealed }
}

async function resealKeys(db: Database, secrets: readonly string[]): Promise<number> {
  const newest = nameOfSecret(newestOf(secrets))
  const stale = await db.select().from(signingKeys).where(ne(signingKeys.sealedWith, newest))
  let resealed = 0
  for (const { kid, sealedPrivateJwk: sealed, sealedWith } of stale) {
    const rows = await db
      .update(signingKeys)
      .set({
        sealedPrivateJwk: reseal(sealed, sealedWith, { secrets, purpose: 'signing keys' }),
        sealedWith: newest,
      })
      .where(and(eq(signingKeys.kid, kid), eq(signingKeys.sealedWith, sealedWith)))
      .returning({ kid: signingKeys.kid })
    resealed += rows.length
  }
  return resealed
}

async function resealServerSecrets(db: Database, secrets: readonly string[]) {
  const newest = nameOfSecret(newestOf(secrets))
  const stale = await db.select().from(serverSecrets).where(ne(serverSecrets.sealedWith, newest))
  for (const { name, sealedValue: sealed, sealedWith } of stale)
    await db
      .update(serverSecrets)
      .set({
        sealedValue: reseal(sealed, sealedWith, { secrets, purpose: 'server secrets' }),
        sealedWith: newest,
      })
      .where(and(eq(serverSecrets.name, name), eq(serverSecrets.sealedWith, sealedWith)))
}

const reseal = (
  sealed: string,
  sealedWith: string,
  { secrets, purpose }: { secrets: readonly string[]; purpose: SealPurpose },
) => seal(unseal(sealed, requireSecret(sealedWith, secrets), purpose), newestOf(secrets), purpose)

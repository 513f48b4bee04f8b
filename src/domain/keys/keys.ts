/**
 * Signing keys are stored in the database, shared by all replicas: per algorithm one that signs, its published
 * successor, and retired ones whose tokens have not expired. Private keys are sealed under a key derived from a
 * SESSION_SECRET, and resealed under the newest one at start-up.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { asc, eq } from 'drizzle-orm'
import { errors, type JWK } from 'jose'
import type { Database } from '#/database/client.ts'
import { serverSecrets } from '#/database/schema/server-secrets.ts'
import { signingKeys } from '#/database/schema/signing-keys.ts'
import { type SigningAlgorithm, signingAlgorithms } from '#/protocol/vocabulary.ts'
import { requireSecret, unseal } from './seal.ts'

export interface SigningKey {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly activatesAt: Date
}

export interface KeySet {
  /** The one to sign with at the moment of the call. */
  signing(algorithm: SigningAlgorithm): SigningKey
  /** What is signed with where nobody asked for another algorithm. */
  readonly default: SigningAlgorithm
  /** By `kid`: what may still be presented. */
  readonly byId: ReadonlyMap<string, SigningKey>
  /** The same; asks the database again when the key is not among those that were loaded. */
  find(kid: string): Promise<SigningKey | undefined>
  /** RFC 7517 §5: the public halves. */
  readonly jwks: { readonly keys: readonly JWK[] }
  /** Never changes: pairwise subjects are derived from it (OIDC Core §8.1). */
  readonly subjectKey: Uint8Array
}

export interface KeySetOptions {
  /** Newest first. */
  readonly secrets: readonly string[]
  readonly algorithm: SigningAlgorithm
  readonly clock: () => Date
  /** What earlier loads have opened: it need not be opened again, whatever has become of the secret that sealed it. */
  readonly opened?: OpenedKeys
  /** A set loaded since, for keys that are not in this one. */
  readonly reload?: () => Promise<KeySet>
}

export interface OpenedKeys {
  /** By `kid`. */
  readonly keys: Map<string, Pick<SigningKey, 'privateKey' | 'publicKey'>>
  subjectKey?: Uint8Array
}

/** Reads all published keys and opens those that are new, or throws when none of the secrets does. */
export async function loadKeySet(db: Database, options: KeySetOptions): Promise<KeySet> {
  const { secrets, algorithm, clock } = options
  const opened: OpenedKeys = options.opened ?? { keys: new Map() }
  const now = clock()
  const stored = await db
    .select()
    .from(signingKeys)
    .orderBy(asc(signingKeys.activatesAt), asc(signingKeys.kid))
  const rows = signingAlgorithms.flatMap((name) =>
    stored.filter((row) => row.algorithm === name && !(row.expiresAt && row.expiresAt <= now)),
  )
  const keys = rows.map((row) => openKey(row, secrets, opened))
  for (const kid of opened.keys.keys())
    if (!keys.some((key) => key.kid === kid)) opened.keys.delete(kid)
  const subjectKey = opened.subjectKey ?? (await openSubjectKey(db, secrets))
  opened.subjectKey = subjectKey
  const byId = new Map(keys.map((key) => [key.kid, key]))
  return {
    signing: (wanted) => signingAt(keys, wanted, clock()),
    default: algorithm,
    byId,
    find: async (kid) => byId.get(kid) ?? (await options.reload?.())?.byId.get(kid),
    jwks: {
      keys: rows.map(
        (row) => ({ ...row.publicJwk, kid: row.kid, alg: row.algorithm, use: 'sig' }) as JWK,
      ),
    },
    subjectKey,
  }
}

/** What `jwtVerify` asks for: the public key that a header names, for the one algorithm it was made for. */
export const verificationKey =
  (keys: KeySet) =>
  async ({ kid, alg }: { kid?: string; alg?: string }): Promise<KeyObject> => {
    const key = kid === undefined ? undefined : await keys.find(kid)
    if (!key || key.algorithm !== alg) throw new errors.JWKSNoMatchingKey()
    return key.publicKey
  }

/** The latest that has become active. A clock behind that of whoever made the first key finds that one all the same. */
function signingAt(keys: readonly SigningKey[], algorithm: SigningAlgorithm, now: Date) {
  const own = keys.filter((key) => key.algorithm === algorithm)
  const key = own.findLast(({ activatesAt }) => activatesAt <= now) ?? own[0]
  if (!key) throw new Error(`there is no ${algorithm} signing key`)
  return key
}

type KeyRow = typeof signingKeys.$inferSelect

function openKey(row: KeyRow, secrets: readonly string[], opened: OpenedKeys): SigningKey {
  const known = opened.keys.get(row.kid) ?? parseKeys(row, secrets)
  opened.keys.set(row.kid, known)
  const { kid, algorithm, activatesAt } = row
  return { ...known, kid, algorithm, activatesAt }
}

function parseKeys(row: KeyRow, secrets: readonly string[]) {
  const secret = requireSecret(row.sealedWith, secrets)
  const privateJwk = JSON.parse(unseal(row.sealedPrivateJwk, secret, 'signing keys'))
  return {
    privateKey: createPrivateKey({ key: privateJwk, format: 'jwk' }),
    publicKey: createPublicKey({ key: row.publicJwk, format: 'jwk' }),
  }
}

async function openSubjectKey(db: Database, secrets: readonly string[]) {
  const [row] = await db.select().from(serverSecrets).where(eq(serverSecrets.name, 'subject'))
  if (!row) throw new Error('there is no subject key')
  const secret = requireSecret(row.sealedWith, secrets)
  return Buffer.from(unseal(row.sealedValue, secret, 'server secrets'), 'base64url')
}

/** Proofs that were used: a `jti` is accepted once, by whichever replica is first. */
import { lt } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { deleteBatch } from '#/database/delete-batch.ts'
import { usedProofs } from '#/database/schema/used-proofs.ts'
import { sha256 } from '#/protocol/secrets.ts'
import type { ProofKind } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'

export interface UsedProof {
  readonly kind: ProofKind
  /** Within which a `jti` is unique: the client, or the thumbprint of the key that signed. */
  readonly owner: string
  readonly jti: string
  /** When it would be refused anyway. */
  readonly expiresAt: Date
}

/** Whether this is the first use: of any number of parallel ones, one is. */
export function useProof(
  db: Database,
  { kind, owner, jti, expiresAt }: UsedProof,
): Promise<boolean> {
  const key = sha256(JSON.stringify([kind, owner, jti]))
  return span('proofs.use', async () => {
    const rows = await db
      .insert(usedProofs)
      .values({ key, expiresAt })
      .onConflictDoNothing()
      .returning({ key: usedProofs.key })
    return rows.length === 1
  })
}

/** Deletes up to `limit` proofs that expired before the given moment. */
export const deleteUsedProofs = (db: Database, before: Date, limit: number): Promise<number> =>
  deleteBatch(db, usedProofs, {
    key: usedProofs.key,
    where: lt(usedProofs.expiresAt, before),
    limit,
  })

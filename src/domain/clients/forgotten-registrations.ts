import { and, inArray, lt, notExists, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import type { By } from '#/domain/audit/audit.ts'
import { span } from '#/telemetry/tracing.ts'
import { announceClient } from './announce.ts'

/**
 * Deletes up to `limit` clients that registered themselves, have changed last before the given moment, and still wait for
 * approval. One that people have ever allowed was approved once: an operator decides about it.
 */
export const deleteForgottenRegistrations = (
  db: Database,
  before: Date,
  { limit, by }: { limit: number; by: By },
): Promise<number> =>
  span('clients.delete_forgotten', () =>
    db.transaction(async (tx) => {
      const forgotten = tx
        .select({ clientId: clients.clientId })
        .from(clients)
        .where(and(isForgotten(before), notExists(consentsTo(tx))))
        .limit(limit)
        .for('update', { skipLocked: true })
      const deleted = await tx
        .delete(clients)
        .where(inArray(clients.clientId, forgotten))
        .returning({ clientId: clients.clientId })
      for (const { clientId } of deleted)
        await announceClient(tx, clientId, {
          type: 'CLIENT_DELETED',
          by,
          details: { reason: 'never_approved' },
        })
      return deleted.length
    }),
  )

/** Written out, as the partial index has it. */
const isForgotten = (before: Date) =>
  and(
    sql`${clients.status} = 'pending' and ${clients.registrationTokenHash} is not null`,
    lt(clients.updatedAt, before),
  )

const consentsTo = (tx: Database) =>
  tx
    .select({ id: consents.id })
    .from(consents)
    .where(sql`${consents.clientId} = ${clients.clientId}`)

import { and, inArray, isNull, lt, notExists, type SQL, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { tokens } from '#/database/schema/tokens.ts'
import type { By } from '#/domain/audit/audit.ts'
import { span } from '#/telemetry/tracing.ts'
import { invalidateClient } from './invalidate.ts'

interface Batch {
  /** Those that have changed later are spared. */
  readonly before: Date
  readonly limit: number
  readonly by: By
}

/**
 * Deletes clients that registered themselves, were never approved, and still wait for it. One that people have ever
 * allowed was approved once, though nobody may have written it down: an operator decides about it.
 */
export const deleteForgottenRegistrations = (db: Database, batch: Batch): Promise<number> =>
  span('clients.delete_forgotten', () =>
    deleteUnlooked(db, batch, { which: isForgotten, reason: 'never_approved' }),
  )

/** Deletes clients that were let in without an approval, and that nobody has used. */
export const deleteUnusedRegistrations = (db: Database, batch: Batch): Promise<number> =>
  span('clients.delete_unused', () =>
    deleteUnlooked(db, batch, { which: isUnused(db), reason: 'never_used' }),
  )

/** Written out, as the partial index has it. */
const isForgotten = sql`${clients.status} = 'pending' and ${clients.registrationTokenHash} is not null`

const isUnused = (db: Database) =>
  and(
    sql`${clients.status} = 'active' and ${clients.registrationTokenHash} is not null`,
    notExists(ofClient(db, tokens)),
    notExists(ofClient(db, deviceCodes)),
  )

const ofClient = (db: Database, table: typeof consents | typeof tokens | typeof deviceCodes) =>
  db.select({ one: sql`1` }).from(table).where(sql`${table.clientId} = ${clients.clientId}`)

const deleteUnlooked = (
  db: Database,
  { before, limit, by }: Batch,
  { which, reason }: { which: SQL | undefined; reason: string },
): Promise<number> =>
  db.transaction(async (tx) => {
    const unlooked = and(isNull(clients.approvedAt), notExists(ofClient(tx, consents)))
    const found = tx
      .select({ clientId: clients.clientId })
      .from(clients)
      .where(and(which, lt(clients.updatedAt, before), unlooked))
      .limit(limit)
      .for('update', { skipLocked: true })
    const deleted = await tx
      .delete(clients)
      .where(inArray(clients.clientId, found))
      .returning({ clientId: clients.clientId })
    for (const { clientId } of deleted)
      await invalidateClient(tx, clientId, { type: 'CLIENT_DELETED', by, details: { reason } })
    return deleted.length
  })

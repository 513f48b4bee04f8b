import { lt } from 'drizzle-orm'
import { deleteBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'

/** Deletes up to `limit` events that are older than the given moment; answers how many. */
export const deleteOldAuditEvents = (db: Database, before: Date, limit: number): Promise<number> =>
  deleteBatch(db, auditEvents, {
    key: auditEvents.id,
    where: lt(auditEvents.at, before),
    order: auditEvents.at,
    limit,
  })

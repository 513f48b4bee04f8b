import { inArray, lt } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'

/** Deletes up to `limit` events that are older than the given moment; answers how many. */
export async function deleteOldAuditEvents(
  db: Database,
  before: Date,
  limit: number,
): Promise<number> {
  const old = db
    .select({ id: auditEvents.id })
    .from(auditEvents)
    .where(lt(auditEvents.at, before))
    .limit(limit)
  return (
    await db
      .delete(auditEvents)
      .where(inArray(auditEvents.id, old))
      .returning({ id: auditEvents.id })
  ).length
}

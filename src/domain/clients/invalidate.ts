import { announceChange } from '#/database/cache-channel.ts'
import type { Database } from '#/database/client.ts'
import { type AuditEventType, type By, writeAudit } from '#/domain/audit/audit.ts'

export interface ClientChange {
  readonly type: Extract<AuditEventType, `CLIENT_${string}`>
  readonly by: By
  readonly details?: Readonly<Record<string, string | number>>
}

/** Tells the audit log and every replica's cache of a change, when the transaction commits. */
export async function invalidateClient(
  tx: Database,
  clientId: string,
  { type, by: { actor, origin, now }, details = {} }: ClientChange,
): Promise<void> {
  await writeAudit(tx, origin, {
    type,
    at: now,
    actor,
    clientId,
    resource: { type: 'client', id: clientId },
    details,
  })
  await announceChange(tx, `client:${clientId}`)
}

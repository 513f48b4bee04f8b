import { isNotNull, max, min, type SQL, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { Database } from '#/database/client.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { authorizationRequests } from '#/database/schema/authorization-requests.ts'
import { clients } from '#/database/schema/clients.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { usedProofs } from '#/database/schema/used-proofs.ts'
import type { BoundedTable, StrangersTable } from '#/protocol/vocabulary.ts'

const tables: Readonly<Record<BoundedTable, readonly [table: PgTable, which?: SQL]>> = {
  clients: [clients, isNotNull(clients.registrationTokenHash)],
  authorization_requests: [authorizationRequests],
  device_codes: [deviceCodes],
  used_proofs: [usedProofs],
}

/** How many rows unauthenticated requests have added to a table; counts no further than `most`. */
export function countRows(db: Database, name: BoundedTable, most: number): Promise<number> {
  const [table, which] = tables[name]
  return db.$count(db.select({ one: sql`1` }).from(table).where(which).limit(most).as('counted'))
}

/** Far beyond every limit that makes sense. */
const maxCounted = 10_000_000

/** The rows of each table that unauthenticated requests can grow. */
export async function countStored(db: Database): Promise<Readonly<Record<StrangersTable, number>>> {
  const count = (name: BoundedTable) => countRows(db, name, maxCounted)
  return {
    clients: await count('clients'),
    authorization_requests: await count('authorization_requests'),
    device_codes: await count('device_codes'),
    used_proofs: await count('used_proofs'),
    audit_events: await countAuditEvents(db),
  }
}

/** Ninety days of them are too many to count; the oldest go first, so what is left is between two numbers. */
async function countAuditEvents(db: Database): Promise<number> {
  const [ends] = await db
    .select({ first: min(auditEvents.id), last: max(auditEvents.id) })
    .from(auditEvents)
  return ends?.first == null || ends.last === null ? 0 : ends.last - ends.first + 1
}

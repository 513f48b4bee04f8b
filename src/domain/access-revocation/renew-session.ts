import { eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { inheritSessionClients } from '#/domain/logout-deliveries/queue-deliveries.ts'
import { type EndedSession, endSession } from './end-sessions.ts'

/**
 * Goes on with a session under another id, within the same deadlines; the old one has ended as `replaced`, and is
 * answered. One that has lapsed or ended goes on no more: then there is no row of the new id. Runs in a transaction.
 */
export async function renewSession(
  tx: Database,
  { from, to }: { readonly from: string; readonly to: string },
  now: Date,
): Promise<EndedSession[]> {
  const ended = await endSession(tx, from, { reason: 'replaced', now })
  if (ended[0]?.reason !== 'replaced') return ended
  const [old] = await tx.select().from(sessions).where(eq(sessions.id, from))
  if (!old) return ended
  const { lapsesAt: _, ...columns } = old
  const begun = { id: to, createdAt: now, lastSeenAt: now, endedAt: null, endReason: null }
  await tx.insert(sessions).values({ ...columns, ...begun })
  await inheritSessionClients(tx, { from, to })
  return ended
}

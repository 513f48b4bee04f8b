/**
 * The clients to notify of the end of a session (OIDC Back-Channel Logout §2). Queued in the transaction that ends
 * the session, so that neither a crash nor another replica can lose or duplicate a notification.
 */
import { and, eq, inArray, isNotNull, type SQLWrapper, sql } from 'drizzle-orm'
import { type Database, notify } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { logoutDeliveries } from '#/database/schema/logout-deliveries.ts'
import { sessionClients } from '#/database/schema/session-clients.ts'
import { slicesOf } from '#/database/slices-of.ts'
import { insertForEach, onlyIf, valuesFor } from '#/database/statements/statements.ts'

/** The channel that wakes the delivery of every replica. */
export const logoutChannel = 'authgate_logout'

/** Remembers that a client is being recipients about a session, as part of a prepared statement, for each row of `source`. */
export const sessionClientCte = (db: Database, source: SQLWrapper) => {
  const wanted = onlyIf(source, 'remember')
  return db
    .$with('remembered', {})
    .as(sql`${insertForEach(wanted, sessionClients, 'remembered')} on conflict do nothing`)
}

/** What that statement then remembers: nothing for clients that do not want to hear of the end. */
export const sessionClientParams = (
  { sessionId, clientId }: { sessionId: string; clientId: string },
  remember: boolean,
): Record<string, unknown> => ({
  remember,
  ...valuesFor('remembered', { sessionId, clientId, sid: sessionId }),
})

/** The same user has signed in again in the same browser: for their clients the session goes on, under its old name. */
export async function inheritSessionClients(
  tx: Database,
  { from, to }: { from: string; to: string },
): Promise<void> {
  await tx.update(sessionClients).set({ sessionId: to }).where(eq(sessionClients.sessionId, from))
}

/** Whether a client knows the session under that name. */
export async function isNameOfSession(
  db: Database,
  { sessionId, sid }: { sessionId: string; sid: string },
): Promise<boolean> {
  if (sid === sessionId) return true
  const rows = await db
    .select({ sid: sessionClients.sid })
    .from(sessionClients)
    .where(and(eq(sessionClients.sessionId, sessionId), eq(sessionClients.sid, sid)))
    .limit(1)
  return rows.length > 0
}

interface Ended {
  readonly id: string
  readonly userId: string | null
}

/** Queues a logout token for every client that knows one of the sessions. */
export async function queueLogoutTokens(
  tx: Database,
  ended: readonly Ended[],
  now: Date,
): Promise<void> {
  let announced = false
  for (const some of slicesOf(ended)) {
    const logoutTokens = await logoutTokensFor(tx, some)
    announced ||= logoutTokens.length > 0
    for (const rows of slicesOf(logoutTokens))
      await tx
        .insert(logoutDeliveries)
        .values(
          rows.map((row) => ({ ...row, createdAt: now, nextAttemptAt: sql`clock_timestamp()` })),
        )
  }
  if (announced) await notify(tx, logoutChannel, '')
}

async function logoutTokensFor(tx: Database, ended: readonly Ended[]) {
  const users = new Map(ended.map(({ id, userId }) => [id, userId]))
  const recipients = await tx
    .select({
      sessionId: sessionClients.sessionId,
      clientId: clients.clientId,
      sid: sessionClients.sid,
    })
    .from(sessionClients)
    .innerJoin(clients, eq(clients.clientId, sessionClients.clientId))
    .where(
      and(
        inArray(sessionClients.sessionId, [...users.keys()]),
        isNotNull(clients.backchannelLogoutUri),
      ),
    )
    // A client that is being deleted is waited for, and then recipients nothing; in the order in which all lock them.
    .orderBy(clients.clientId)
    .for('key share', { of: clients })
  return recipients.flatMap(({ sessionId, clientId, sid }) => {
    const userId = users.get(sessionId)
    return userId ? [{ id: crypto.randomUUID(), clientId, sid, userId }] : []
  })
}

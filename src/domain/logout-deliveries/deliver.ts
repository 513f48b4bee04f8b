/**
 * Delivers logout tokens (OIDC Back-Channel Logout §2.5). A claim moves the next attempt ahead, so that replicas share the
 * work and what a crashed one had claimed is tried again; the token keeps its `jti`, so a client can tell a repetition.
 */
import { eq, sql } from 'drizzle-orm'
import { inBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import { logoutDeliveries } from '#/database/schema/logout-deliveries.ts'
import { subjectOf } from '#/domain/clients/subject.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { signLogoutToken } from '#/domain/tokens/sign-tokens.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { span } from '#/telemetry/tracing.ts'

export interface DeliveryOptions {
  readonly recorder: Recorder
  readonly issuer: string
  readonly keys: () => Promise<KeySet>
  readonly fetchDocument: FetchDocument
  readonly clock: () => Date
}

const batchSize = 20

/**
 * Seconds until the next attempt, after each failed one; then the client is given up. The first is longer than an attempt may
 * take: as long as one is under way, nobody else begins another.
 */
const delays = [10, 30, 120, 600, 3600] as const
const maxAttempts = delays.length + 1

type Delivery = typeof logoutDeliveries.$inferSelect

/** Sends what is due; answers how many were tried, so that the caller can go on while there are more. */
export function deliverDueLogouts(db: Database, options: DeliveryOptions): Promise<number> {
  return span('logout_deliveries.deliver', async () => {
    const claimed = await claimDue(db)
    // All have ended before anything is told: whoever stops the worker may close the database then.
    const ends = await Promise.allSettled(claimed.map((delivery) => deliver(db, delivery, options)))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed) throw failed.reason
    return claimed.length
  })
}

/** One atomic claim: of two replicas, one gets each row. What is due is told by the database's clock, whoever asks. */
function claimDue(db: Database): Promise<Delivery[]> {
  const due = inBatch(db, logoutDeliveries, {
    key: logoutDeliveries.id,
    where: sql`${logoutDeliveries.nextAttemptAt} <= clock_timestamp()`,
    order: logoutDeliveries.nextAttemptAt,
    limit: batchSize,
  })
  const delay = sql`(array[${sql.raw(delays.join(', '))}])[least(${logoutDeliveries.attempts} + 1, ${sql.raw(String(delays.length))})]`
  return db
    .update(logoutDeliveries)
    .set({
      attempts: sql`${logoutDeliveries.attempts} + 1`,
      nextAttemptAt: sql`clock_timestamp() + ${delay} * interval '1 second'`,
    })
    .where(due)
    .returning()
}

async function deliver(db: Database, delivery: Delivery, options: DeliveryOptions) {
  const { recorder, clock } = options
  const [client] = await db.select().from(clients).where(eq(clients.clientId, delivery.clientId))
  const delivered = client ? await send(client, delivery, options) : false
  if (!delivered && delivery.attempts < maxAttempts) return recorder.logoutDelivery('retried')
  // Whoever takes the row away counts, once; another attempt at the same row may have done so already.
  const [done] = await db
    .delete(logoutDeliveries)
    .where(eq(logoutDeliveries.id, delivery.id))
    .returning({ createdAt: logoutDeliveries.createdAt })
  if (!done) return
  recorder.logoutDelivery(delivered ? 'delivered' : 'given_up')
  // Another replica, whose clock may be ahead, has dated it.
  const ms = Math.max(0, clock().getTime() - done.createdAt.getTime())
  if (delivered) recorder.logoutDelivered(ms / 1000)
}

/** §2.7: any success will do, since some frameworks make a 204 of the 200. Whatever else happens is a failed attempt. */
async function send(
  client: Client,
  delivery: Delivery,
  options: DeliveryOptions,
): Promise<boolean> {
  if (client.backchannelLogoutUri === null) return false
  try {
    const keys = await options.keys()
    const token = await signLogoutToken(keys, {
      issuer: options.issuer,
      client,
      subject: subjectOf(client, delivery.userId, keys),
      sid: delivery.sid,
      jti: delivery.id,
      now: options.clock(),
    })
    await options.fetchDocument({
      purpose: 'backchannel_logout',
      url: client.backchannelLogoutUri,
      form: { logout_token: token },
    })
    return true
  } catch {
    return false
  }
}

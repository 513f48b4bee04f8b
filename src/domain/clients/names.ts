/**
 * Uniqueness of client names: a client without approval may not have the name of another client, or one that looks
 * like it. Rows of earlier versions are given their skeleton once, also those that replicas of the release before
 * still write.
 */
import { and, eq, inArray, isNull, ne, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { slicesOf } from '#/database/slices-of.ts'
import { type ClientMetadata, isNamedByAddress } from '#/protocol/client-metadata.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { skeletonOf } from '#/protocol/names.ts'

/** Any number but those of the other locks, the same for every version of this server. */
const nameLock = 7_264_004

/** Serializes changes of names. Taken before any row lock, to avoid deadlocks. */
export async function lockNames(tx: Database): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${nameLock})`)
}

/**
 * Refuses a name that another client has, or one that looks like it; the transaction holds the lock on names. A
 * client may keep its own name, even if others have it, too.
 */
export async function requireOwnName(
  tx: Database,
  metadata: ClientMetadata,
  current?: { readonly clientId: string; readonly name: string },
): Promise<void> {
  const skeleton = skeletonOf(metadata.client_name)
  if (isNamedByAddress(metadata) || (current && skeletonOf(current.name) === skeleton)) return
  await fillSkeletons(tx)
  const [other] = await tx
    .select({ clientId: clients.clientId })
    .from(clients)
    .where(
      and(eq(clients.nameSkeleton, skeleton), current && ne(clients.clientId, current.clientId)),
    )
    .limit(1)
  if (other)
    throw new OAuthError(
      'invalid_client_metadata',
      'client_name is the name of another client, or looks like it',
    )
}

/** Client id -> the names of others that it can be taken for, of the given clients. */
export async function listLookalikes(
  db: Database,
  given: readonly { readonly clientId: string; readonly name: string }[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  if (given.length === 0) return new Map()
  if ((await db.$count(clients, isNull(clients.nameSkeleton))) > 0)
    await db.transaction(async (tx) => {
      await lockNames(tx)
      await fillSkeletons(tx)
    })
  const skeletons = new Set(given.map(({ name }) => skeletonOf(name)))
  const alike = await db
    .select({ clientId: clients.clientId, name: clients.name, skeleton: clients.nameSkeleton })
    .from(clients)
    .where(inArray(clients.nameSkeleton, [...skeletons]))
    .limit(maxShown)
  return new Map(
    given.map(({ clientId, name }) => [
      clientId,
      alike
        .filter((other) => other.skeleton === skeletonOf(name) && other.clientId !== clientId)
        .map((other) => other.name),
    ]),
  )
}

const maxShown = 1000

/** Gives a skeleton to clients that have none, on a transaction that holds the lock on names. */
async function fillSkeletons(db: Database): Promise<void> {
  const unread = await db
    .select({ clientId: clients.clientId, name: clients.name })
    .from(clients)
    .where(isNull(clients.nameSkeleton))
  for (const some of slicesOf(unread)) {
    const rows = some.map(({ clientId, name }) => sql`(${clientId}, ${name}, ${skeletonOf(name)})`)
    const read = sql`(values ${sql.join(rows, sql`, `)}) as read (client_id, name, skeleton)`
    await db
      .update(clients)
      .set({ nameSkeleton: sql`read.skeleton` })
      .from(read)
      // One that was renamed meanwhile waits for the next time.
      .where(
        sql`${clients.clientId} = read.client_id and ${clients.name} = read.name and ${clients.nameSkeleton} is null`,
      )
  }
}

import { and, eq, isNull } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { prepared, type Slots } from '#/database/prepared.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { users } from '#/database/schema/users.ts'

/** Who is to have tokens, and from whom. */
export interface Holder {
  readonly userId: string
  readonly clientId: string
}

/**
 * The part of a statement that finds the user, provided that they and the client are active and the consent is in force.
 * It locks both rows before anything is used up: whoever takes access away (see lockUser) either waits and then ends the
 * new tokens, too, or has finished, and then what was to be used up is gone.
 */
export const entitled = (db: Database, { userId, clientId }: Slots<Holder>) =>
  db
    .select({ userId: users.id })
    .from(users)
    .innerJoin(clients, and(eq(clients.clientId, clientId), eq(clients.status, 'active')))
    .innerJoin(
      consents,
      and(
        eq(consents.userId, users.id),
        eq(consents.clientId, clients.clientId),
        isNull(consents.revokedAt),
      ),
    )
    .where(and(eq(users.id, userId), eq(users.isActive, true)))
    .for('key share', { of: [users, clients] })

const lockEntitled = prepared(entitled)

/** The same inside a transaction, which holds the locks until it ends. */
export const isEntitled = async (tx: Database, { userId, clientId }: Holder): Promise<boolean> =>
  (await lockEntitled(tx, { userId, clientId })).length > 0

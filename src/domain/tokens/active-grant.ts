import { and, eq, isNull, type Placeholder, sql, type WithSubquery } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { users } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/prepared.ts'

/** Who is to have tokens, and from whom. */
export interface GrantKey {
  readonly userId: string
  readonly clientId: string
}

/**
 * The part of a statement that finds the user if user and client are active and the consent is in force. Locks both
 * rows before anything is consumed: revoking access (see lockUser) waits and then ends the new tokens, or comes first
 * and nothing is left to consume.
 */
export const lockedActiveGrant = (
  db: Database,
  { userId, clientId }: Readonly<Record<keyof GrantKey, Placeholder>>,
) =>
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

/** The same by a name. */
export const activeGrantCte = (db: Database, holder: Placeholders<GrantKey>) =>
  db.$with('consenting').as(lockedActiveGrant(db, holder))

/** The part that finds a client which is active, and locks it: all it takes where no user is involved. */
export const lockedActiveClient = (db: Database, clientId: Placeholder) =>
  db
    .select({ clientId: clients.clientId })
    .from(clients)
    .where(and(eq(clients.clientId, clientId), eq(clients.status, 'active')))
    .for('key share')

/** Who has tokens that end with a session. */
export interface SessionBinding {
  readonly userId: string
  readonly sessionId: string | null
  readonly endsWithSession: boolean
}

/** The part that finds whom `consenting` has found, as long as the session is there with which their tokens end, if any. */
export const whileSignedIn = (
  db: Database,
  { consenting, session }: { consenting: ReturnType<typeof activeGrantCte>; session: WithSubquery },
  { endsWithSession }: Pick<Placeholders<SessionBinding>, 'endsWithSession'>,
) =>
  db
    .select({ userId: consenting.userId })
    .from(consenting)
    .where(sql`(not ${endsWithSession}::boolean or exists (select from ${session}))`)

const selectActiveGrant = prepared(lockedActiveGrant)

/** The same inside a transaction, which holds the locks until it ends. */
export const lockActiveGrant = async (
  tx: Database,
  { userId, clientId }: GrantKey,
): Promise<boolean> => (await selectActiveGrant(tx, { userId, clientId })).length > 0

import { and, eq, type Placeholder, sql, type WithSubquery } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { users } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/statements.ts'
import { whereActiveClient } from '#/domain/clients/client-state.ts'
import { isClientVersion, type JudgedClient } from '#/domain/clients/client-version.ts'
import { whereConsentInForce } from '#/domain/consents/consent-state.ts'
import { whereActiveUser } from '#/domain/users/user-state.ts'

/** Who is to have tokens, and from whom. */
export interface GrantKey {
  readonly userId: string
  readonly clientId: string
}

/** The same, where the client is who asks. */
export type AskedGrant = GrantKey & JudgedClient

/** An active client; with a version, only as it was when the request was judged. */
type ClientSlots = Readonly<Record<'clientId', Placeholder>> &
  Partial<Readonly<Record<'clientVersion', Placeholder>>>

const isAsked = ({ clientId, clientVersion }: ClientSlots) =>
  and(
    eq(clients.clientId, clientId),
    whereActiveClient,
    clientVersion && isClientVersion(clientVersion),
  )

/**
 * The part of a statement that finds the user if user and client are active and the consent is in force. Locks both
 * rows before anything is consumed: revoking access (see lockUser) waits and then ends the new tokens, or comes first
 * and nothing is left to consume.
 */
export const lockedActiveGrant = (
  db: Database,
  { userId, ...client }: Readonly<Record<'userId', Placeholder>> & ClientSlots,
) =>
  db
    .select({ userId: users.id })
    .from(users)
    .innerJoin(clients, isAsked(client))
    .innerJoin(
      consents,
      and(
        eq(consents.userId, users.id),
        eq(consents.clientId, clients.clientId),
        whereConsentInForce,
      ),
    )
    .where(and(eq(users.id, userId), whereActiveUser))
    .for('key share', { of: [users, clients] })

/** The same by a name. */
export const activeGrantCte = (db: Database, holder: Placeholders<AskedGrant>) =>
  db.$with('consenting').as(lockedActiveGrant(db, holder))

/** The part that finds a client which is active, and locks it: all it takes where no user is involved. */
export const lockedActiveClient = (db: Database, client: Placeholders<JudgedClient>) =>
  db.select({ clientId: clients.clientId }).from(clients).where(isAsked(client)).for('key share')

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

const selectActiveGrant = prepared((db, { userId, clientId }: Placeholders<GrantKey>) =>
  lockedActiveGrant(db, { userId, clientId }),
)

/** The same inside a transaction, which holds the locks until it ends. */
export const lockActiveGrant = async (
  tx: Database,
  { userId, clientId }: GrantKey,
): Promise<boolean> => (await selectActiveGrant(tx, { userId, clientId })).length > 0

/**
 * Clients that users register for themselves. Somebody else's app is treated as one that does not exist. An app can be
 * used once an operator has approved it, and waits again when it becomes another one.
 */
import { and, asc, eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import type { ClientMetadata } from '#/protocol/client-metadata.ts'
import { span } from '#/telemetry/tracing.ts'
import { wherePendingClient } from './client-state.ts'
import { type CreatedClient, insertClient, type NewClient } from './clients.ts'
import { invalidateClient } from './invalidate.ts'
import { columnsOf } from './metadata.ts'
import { lockNames, requireOwnName } from './names.ts'

/** An app, by its id and by whose it must be. */
export interface OwnApp {
  readonly clientId: string
  readonly ownerId: string
}

/** What its owner says about an app. */
export interface AppContent {
  readonly metadata: ClientMetadata
  readonly description: string
}

/** How many apps of one user may wait for approval. */
export const maxPendingApps = 10

export const isOwnApp = ({ clientId, ownerId }: OwnApp) =>
  and(eq(clients.clientId, clientId), eq(clients.ownerId, ownerId))

/** The apps of a user, by name. */
export const listApps = (db: Database, ownerId: string): Promise<Client[]> =>
  db
    .select()
    .from(clients)
    .where(eq(clients.ownerId, ownerId))
    .orderBy(asc(clients.name), asc(clients.clientId))
    .limit(100)

/** An app, if it is this user's. */
export const findApp = async (db: Database, app: OwnApp): Promise<Client | undefined> =>
  (await db.select().from(clients).where(isOwnApp(app)))[0]

/** Registers an app that waits for approval; undefined when too many of its owner's do already. */
export const registerApp = (
  db: Database,
  {
    ownerId,
    metadata,
    description,
    requirePkce,
  }: AppContent & Pick<OwnApp, 'ownerId'> & Pick<Client, 'requirePkce'>,
  by: By,
): Promise<CreatedClient | undefined> =>
  span('apps.register', () =>
    db.transaction(async (tx) => {
      await lockNames(tx)
      // Those that are sent at once are counted one after the other.
      await lockUser(tx, ownerId)
      const waiting = and(eq(clients.ownerId, ownerId), wherePendingClient)
      if ((await tx.$count(clients, waiting)) >= maxPendingApps) return undefined
      await requireOwnName(tx, metadata)
      const status = 'pending'
      const app: NewClient = { ...columnsOf(metadata), description, status, ownerId, requirePkce }
      const created = await insertClient(tx, app, by.now)
      const { clientId } = created.client
      await invalidateClient(tx, clientId, { type: 'CLIENT_REGISTERED', by, details: { status } })
      return created
    }),
  )

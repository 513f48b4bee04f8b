/** OAuth clients. Every change is announced in its own transaction, so that no replica keeps the old row in its cache. */
import { and, asc, eq, isNotNull, ne, type SQL } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import { skeletonOf } from '#/protocol/names.ts'
import { constantTimeEqual, randomSecret, sha256 } from '#/protocol/secrets.ts'
import type { ClientDecision, ClientStatus } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import { type VersionedClient, versionedColumns } from './client-version.ts'
import { countsOf, type EndedOfClient, endAccessOfClient, nothingEnded } from './end-access.ts'
import { invalidateClient } from './invalidate.ts'
import { lockNames } from './names.ts'

export type { Client } from '#/database/schema/clients.ts'

export async function findClient(
  db: Database,
  clientId: string,
): Promise<VersionedClient | undefined> {
  return (await db.select(versionedColumns).from(clients).where(eq(clients.clientId, clientId)))[0]
}

/** What a client is made of; everything that has a default may be left out. */
export type NewClient = Omit<
  typeof clients.$inferInsert,
  | 'clientId'
  | 'nameSkeleton'
  | 'approvedAt'
  | 'secretHash'
  | 'tokenEndpointAuthMethod'
  | 'createdAt'
  | 'updatedAt'
> & {
  readonly status: Client['status']
  readonly tokenEndpointAuthMethod?: Client['tokenEndpointAuthMethod']
}

export interface CreatedClient {
  readonly client: Client
  /** Shown once, never stored; undefined for clients that need none. */
  readonly secret: string | undefined
}

export function createClient(db: Database, client: NewClient, by: By): Promise<CreatedClient> {
  return span('clients.create', () =>
    db.transaction(async (tx) => {
      await lockNames(tx)
      const created = await insertClient(tx, client, by.now)
      await invalidateClient(tx, created.client.clientId, { type: 'CLIENT_CREATED', by })
      return created
    }),
  )
}

/** The row of a new client, on the caller's transaction; who announces it says how it came about. */
export async function insertClient(
  tx: Database,
  client: NewClient,
  now: Date,
): Promise<CreatedClient> {
  const method =
    client.tokenEndpointAuthMethod ?? (client.type === 'public' ? 'none' : 'client_secret_basic')
  const secret = hasSecret(method) ? randomSecret() : undefined
  const [created] = await tx
    .insert(clients)
    .values({
      ...client,
      clientId: crypto.randomUUID(),
      nameSkeleton: skeletonOf(client.name),
      secretHash: secret === undefined ? null : sha256(secret),
      tokenEndpointAuthMethod: method,
      createdAt: now,
      updatedAt: now,
    })
    .returning()
  if (!created) throw new Error('the client was not inserted')
  return { client: created, secret }
}

/** Whether clients that authenticate so have a secret. */
export const hasSecret = (method: Client['tokenEndpointAuthMethod']): boolean =>
  method === 'client_secret_basic' || method === 'client_secret_post'

/** Whether the presented secret is the client's; both are 256-bit random values, so a plain digest is compared. */
export const isClientSecret = (client: Client, secret: string): boolean =>
  client.secretHash !== null && constantTimeEqual(sha256(secret), client.secretHash)

/** Replaces the secret of a client that has one; undefined when there is no such client. */
export function regenerateClientSecret(
  db: Database,
  clientId: string,
  by: By,
): Promise<CreatedClient | undefined> {
  const secret = randomSecret()
  return span('clients.regenerate_secret', () =>
    db.transaction(async (tx) => {
      const [client] = await tx
        .update(clients)
        .set({ secretHash: sha256(secret), updatedAt: by.now })
        .where(and(eq(clients.clientId, clientId), isNotNull(clients.secretHash)))
        .returning()
      if (!client) return undefined
      await invalidateClient(tx, clientId, { type: 'CLIENT_SECRET_REGENERATED', by })
      return { client, secret }
    }),
  )
}

export interface StatusChange {
  readonly clientId: string
  readonly status: 'active' | 'inactive'
  /** What the client must be now; undefined for anything else than `status`. */
  readonly from?: ClientStatus
  /** The version that was looked at: a client that has changed since is not what was decided on. */
  readonly seen?: string
}

export interface ChangedStatus {
  readonly client: Client
  readonly ended: EndedOfClient
  readonly decision: ClientDecision
}

/** Activates or deactivates a client; with its access end its tokens and codes. What people have allowed it stays. Undefined when nothing changed. */
export function setClientStatus(
  db: Database,
  change: StatusChange,
  by: By,
): Promise<ChangedStatus | undefined> {
  const { clientId, status } = change
  return span('clients.set_status', () =>
    db.transaction(async (tx) => {
      const before = await lockClient(tx, whatChanges(change))
      if (!before || (change.seen !== undefined && change.seen !== versionOf(before)))
        return undefined
      const { decision, type } =
        decisions[before.status === 'pending' ? 'pending' : 'other'][status]
      const [client] = await tx
        .update(clients)
        .set({
          status,
          updatedAt: by.now,
          ...(isLetIn(before, decision) && { approvedAt: by.now }),
        })
        .where(eq(clients.clientId, clientId))
        .returning()
      if (!client) throw new Error('the client was not updated')
      const ended =
        status === 'active'
          ? nothingEnded
          : await endAccessOfClient(tx, clientId, { reason: 'client_inactive', now: by.now })
      await invalidateClient(tx, clientId, { type, by, details: { status, ...countsOf(ended) } })
      return { client, ended, decision }
    }),
  )
}

/** Whether an operator takes responsibility for a client that no operator made. */
const isLetIn = ({ registrationTokenHash }: Client, decision: ClientDecision) =>
  decision === 'approved' || (decision === 'enabled' && registrationTokenHash !== null)

/** The client that fits, its row locked. Waits for tokens under way: their foreign keys hold it until they commit. */
export const lockClient = async (
  tx: Database,
  which: SQL | undefined,
): Promise<Client | undefined> => (await tx.select().from(clients).where(which).for('update'))[0]

/** Changes with everything that a client is; says nothing about it. The skeleton of its name may be filled in by anybody. */
export const versionOf = ({
  nameSkeleton: _,
  version: _row,
  ...client
}: Client & Partial<Pick<VersionedClient, 'version'>>): string => sha256(JSON.stringify(client))

const whatChanges = ({ clientId, status, from }: StatusChange) =>
  and(
    eq(clients.clientId, clientId),
    from === undefined ? ne(clients.status, status) : eq(clients.status, from),
  )

/** How a change of status is called, by what it was before. */
const decisions = {
  pending: {
    active: { decision: 'approved', type: 'CLIENT_APPROVED' },
    inactive: { decision: 'rejected', type: 'CLIENT_REJECTED' },
  },
  other: {
    active: { decision: 'enabled', type: 'CLIENT_UPDATED' },
    inactive: { decision: 'disabled', type: 'CLIENT_UPDATED' },
  },
} as const

/** Clients that wait for approval, longest first: however many they are, they hide none of the others. */
export const listPendingClients = (db: Database): Promise<Client[]> =>
  db
    .select()
    .from(clients)
    .where(eq(clients.status, 'pending'))
    .orderBy(asc(clients.updatedAt), asc(clients.clientId))
    .limit(50)

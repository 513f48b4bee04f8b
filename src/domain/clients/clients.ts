/** OAuth clients. Every change is announced in its own transaction, so that no replica keeps the old row in its cache. */
import { and, asc, eq, type SQL, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import { skeletonOf } from '#/protocol/names.ts'
import { constantTimeEqual, randomSecret, sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { wherePendingClient } from './client-state.ts'
import { type VersionedClient, versionedColumns } from './client-version.ts'
import { invalidateClient } from './invalidate.ts'
import { lockNames } from './names.ts'

export type { Client } from '#/database/schema/clients.ts'

export async function findClient(
  db: Database,
  clientId: string,
): Promise<VersionedClient | undefined> {
  return (await db.select(versionedColumns).from(clients).where(isClient(clientId)))[0]
}

export const isClient = (clientId: string): SQL => eq(clients.clientId, clientId)

/** A client that registered itself, as long as its registration access token is the one that was shown. */
export const isRegisteredAs = ({
  clientId,
  registrationTokenHash: hash,
}: Client): SQL | undefined =>
  hash === null ? sql`false` : and(isClient(clientId), eq(clients.registrationTokenHash, hash))

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

/** Clients that wait for approval, longest first: however many they are, they hide none of the others. */
export const listPendingClients = (db: Database): Promise<Client[]> =>
  db
    .select()
    .from(clients)
    .where(wherePendingClient)
    .orderBy(asc(clients.updatedAt), asc(clients.clientId))
    .limit(50)

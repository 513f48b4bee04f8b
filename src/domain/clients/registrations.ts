/**
 * Clients that register themselves (RFC 7591) and look after their registration (RFC 7592). What an operator has
 * approved must not change behind their back: a client that becomes another one waits for approval again.
 */
import { isDeepStrictEqual } from 'node:util'
import { and, eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import { reserveRow } from '#/domain/row-limits/row-limits.ts'
import type { ClientMetadata } from '#/protocol/client-metadata.ts'
import { constantTimeEqual, randomSecret, sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { type ChangedClient, changeClient, removeClient } from './change-client.ts'
import { type CreatedClient, findClient, insertClient, lockClient } from './clients.ts'
import { countsOf, type EndedOfClient } from './end-access.ts'
import { invalidateClient } from './invalidate.ts'
import { columnsOf, type MetadataColumns } from './metadata.ts'
import { lockNames, requireOwnName } from './names.ts'

/** What new and changed registrations become. */
export type RegistrationStatus = 'pending' | 'active'

export interface RegisteredClient extends CreatedClient {
  /** RFC 7592 §3; shown once, stored as a digest. */
  readonly registrationToken: string
}

export function registerClient(
  db: Database,
  {
    metadata,
    status,
    requirePkce,
  }: { metadata: ClientMetadata; status: RegistrationStatus; requirePkce: boolean },
  by: By,
): Promise<RegisteredClient> {
  const registrationToken = randomSecret()
  const client = {
    ...columnsOf(metadata),
    ...profileOf(metadata),
    status,
    requirePkce,
    registrationTokenHash: sha256(registrationToken),
  }
  const insert = () =>
    db.transaction(async (tx) => {
      await lockNames(tx)
      await requireOwnName(tx, metadata)
      const created = await insertClient(tx, client, by.now)
      const { clientId } = created.client
      await invalidateClient(tx, clientId, { type: 'CLIENT_REGISTERED', by, details: { status } })
      return { ...created, registrationToken }
    })
  return span('clients.register', () => reserveRow(db, 'clients', insert))
}

/** The client whose registration access token this is. */
export async function findRegisteredClient(
  db: Database,
  clientId: string,
  registrationToken: string,
): Promise<Client | undefined> {
  const client = await findClient(db, clientId)
  const hash = client?.registrationTokenHash ?? ''
  return constantTimeEqual(sha256(registrationToken), hash) ? client : undefined
}

export interface UpdatedClient extends ChangedClient {
  /** Whether it has to be approved again; then its tokens and codes have ended. */
  readonly returned: boolean
}

/**
 * Replaces the metadata of a registered client (RFC 7592 §2.2); undefined when it has gone meanwhile. `secret` is a new
 * one, for a client that had none.
 */
export function updateClient(
  db: Database,
  change: { client: Client; metadata: ClientMetadata; status: RegistrationStatus },
  by: By,
): Promise<UpdatedClient | undefined> {
  const next = columnsOf(change.metadata)
  const profile = profileOf(change.metadata)
  return span('clients.update', () =>
    db.transaction(async (tx) => {
      await lockNames(tx)
      const current = await lockRegistered(tx, change.client)
      if (!current) return undefined
      await requireOwnName(tx, change.metadata, current)
      const returned =
        change.status === 'pending' && current.status === 'active' && needsApproval(current, next)
      const status = returned ? 'pending' : current.status
      const changed = await changeClient(
        tx,
        current,
        { ...next, ...profile, status, updatedAt: by.now },
        { reason: 'client_request', now: by.now },
      )
      const details = { status, ...countsOf(changed.ended) }
      await invalidateClient(tx, current.clientId, { type: 'CLIENT_UPDATED', by, details })
      return { ...changed, returned }
    }),
  )
}

/** Deletes a registered client and all that it was given (RFC 7592 §2.3); undefined when it has gone already. */
export function deleteClient(
  db: Database,
  client: Client,
  by: By,
): Promise<EndedOfClient | undefined> {
  const { clientId } = client
  return span('clients.delete', () =>
    db.transaction(async (tx) => {
      if (!(await lockRegistered(tx, client))) return undefined
      return removeClient(tx, clientId, by)
    }),
  )
}

const lockRegistered = (tx: Database, { clientId, registrationTokenHash }: Client) =>
  lockClient(
    tx,
    and(
      eq(clients.clientId, clientId),
      eq(clients.registrationTokenHash, registrationTokenHash ?? ''),
    ),
  )

/** FAPI 2.0 §5.3.2.1: a client that is held to the profile keeps its refresh token. */
const profileOf = (metadata: ClientMetadata): Partial<Pick<Client, 'refreshTokenMode'>> =>
  metadata.require_pushed_authorization_requests ? { refreshTokenMode: 'fixed' } : {}

/** Nobody sees these and nothing gets weaker when they change; everything else is what was approved. */
const harmless: readonly (keyof MetadataColumns)[] = [
  'idTokenSignedResponseAlg',
  'userinfoSignedResponseAlg',
  'introspectionSignedResponseAlg',
  'defaultMaxAge',
  'requireAuthTime',
  'defaultAcrValues',
  'backchannelLogoutSessionRequired',
]

/** Whether a client that was approved becomes another one by this. */
export const needsApproval = (current: Client, next: MetadataColumns): boolean =>
  (Object.keys(next) as (keyof MetadataColumns)[])
    .filter((column) => !harmless.includes(column))
    .some((column) => !isDeepStrictEqual(current[column], next[column]))

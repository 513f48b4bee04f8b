/** Who may change a client, and how: each way locks it, and leaves the decision to `changeClient`. */
import { and, eq, ne } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import {
  type CreatedClient,
  isClient,
  isRegisteredAs,
  lockClient,
  type NewClient,
  versionOf,
} from '#/domain/clients/clients.ts'
import { invalidateClient } from '#/domain/clients/invalidate.ts'
import { columnsOf } from '#/domain/clients/metadata.ts'
import { lockNames, requireOwnName } from '#/domain/clients/names.ts'
import { type AppContent, isOwnApp, type OwnApp } from '#/domain/clients/own-apps.ts'
import { profileOf, type RegistrationStatus } from '#/domain/clients/registrations.ts'
import type { ClientMetadata } from '#/protocol/client-metadata.ts'
import { randomSecret, sha256 } from '#/protocol/secrets.ts'
import type { ClientDecision, ClientStatus } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import { type ChangedClient, changeClient } from './change-client.ts'
import { endOfClient } from './endings.ts'

/** `stale`: it has changed since it was looked at, and was not overwritten. */
export type EditedClient =
  | (ChangedClient & { readonly result: 'success' })
  | { readonly result: 'unknown' }
  | { readonly result: 'stale' }

export interface ClientEdit {
  readonly clientId: string
  /** The version that was edited. */
  readonly seen: string
  readonly next: Partial<NewClient>
}

/** Changes what a client is, for an operator, whose word is an approval. */
export const editClient = (
  db: Database,
  { clientId, seen, next }: ClientEdit,
  by: By,
): Promise<EditedClient> =>
  span('clients.edit', () =>
    db.transaction(async (tx) => {
      await lockNames(tx)
      const current = await lockClient(tx, isClient(clientId))
      const result = staleness(current, seen)
      if (!current || result) return { result: result ?? 'unknown' }
      const change = { next, reason: 'admin_request', reapprove: false } as const
      const changed = await changeClient(tx, current, { ...change, type: 'CLIENT_UPDATED' }, by)
      return { result: 'success', ...changed }
    }),
  )

/**
 * Changes an app for its owner. One that becomes another than was approved waits again, and what it was given ends; one
 * that was refused or switched off stays so.
 */
export const updateApp = (
  db: Database,
  { app, seen, content }: { app: OwnApp; seen: string; content: AppContent },
  by: By,
): Promise<EditedClient> =>
  span('apps.update', () =>
    db.transaction(async (tx) => {
      await lockNames(tx)
      const current = await lockClient(tx, isOwnApp(app))
      const result = staleness(current, seen)
      if (!current || result) return { result: result ?? 'unknown' }
      await requireOwnName(tx, content.metadata, current)
      const next = { ...columnsOf(content.metadata), description: content.description }
      const change = { next, reason: 'client_request', reapprove: true } as const
      const changed = await changeClient(tx, current, { ...change, type: 'CLIENT_UPDATED' }, by)
      return { result: 'success', ...changed }
    }),
  )

const staleness = (current: Client | undefined, seen: string) =>
  current && versionOf(current) !== seen ? 'stale' : undefined

/** Replaces the metadata of a client that registered itself (RFC 7592 §2.2); undefined when it has gone meanwhile. */
export const updateClient = (
  db: Database,
  change: { client: Client; metadata: ClientMetadata; status: RegistrationStatus },
  by: By,
): Promise<ChangedClient | undefined> =>
  span('clients.update', () =>
    db.transaction(async (tx) => {
      await lockNames(tx)
      const current = await lockClient(tx, isRegisteredAs(change.client))
      if (!current) return undefined
      await requireOwnName(tx, change.metadata, current)
      const next = { ...columnsOf(change.metadata), ...profileOf(change.metadata) }
      // Where registrations need no approval, nobody has looked at what it was, either.
      const reapprove = change.status === 'pending'
      const how = { reason: 'client_request', type: 'CLIENT_UPDATED' } as const
      return changeClient(tx, current, { next, reapprove, ...how }, by)
    }),
  )

export interface StatusChange {
  readonly clientId: string
  readonly status: 'active' | 'inactive'
  /** What the client must be now; undefined for anything else than `status`. */
  readonly from?: ClientStatus
  /** The version that was looked at: a client that has changed since is not what was decided on. */
  readonly seen?: string
}

export interface ChangedStatus extends ChangedClient {
  readonly decision: ClientDecision
}

/** Activates or deactivates a client. Undefined when nothing changed. */
export const setClientStatus = (
  db: Database,
  change: StatusChange,
  by: By,
): Promise<ChangedStatus | undefined> =>
  span('clients.set_status', () =>
    db.transaction(async (tx) => {
      const before = await lockClient(tx, whatChanges(change))
      if (!before || (change.seen !== undefined && change.seen !== versionOf(before)))
        return undefined
      const { status } = change
      const { decision, type } =
        decisions[before.status === 'pending' ? 'pending' : 'other'][status]
      const next = { status, ...(isLetIn(before, decision) && { approvedAt: by.now }) }
      const how = { reason: 'client_inactive', reapprove: false } as const
      return { ...(await changeClient(tx, before, { next, type, ...how }, by)), decision }
    }),
  )

/** Whether an operator takes responsibility for a client that no operator made. */
const isLetIn = ({ registrationTokenHash }: Client, decision: ClientDecision) =>
  decision === 'approved' || (decision === 'enabled' && registrationTokenHash !== null)

const whatChanges = ({ clientId, status, from }: StatusChange) =>
  and(
    isClient(clientId),
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

/** Replaces the secret of a client that has one, whoever it belongs to; undefined when there is no such client. */
export const regenerateClientSecret = (db: Database, clientId: string, by: By) =>
  replaceSecret(db, isClient(clientId), by)

/** The same for its owner. */
export const regenerateAppSecret = (db: Database, app: OwnApp, by: By) =>
  replaceSecret(db, isOwnApp(app), by)

const replaceSecret = (
  db: Database,
  which: ReturnType<typeof isOwnApp>,
  by: By,
): Promise<CreatedClient | undefined> =>
  span('clients.regenerate_secret', () =>
    db.transaction(async (tx) => {
      const current = await lockClient(tx, which)
      if (!current || current.secretHash === null) return undefined
      const secret = randomSecret()
      const [client] = await tx
        .update(clients)
        .set({ secretHash: sha256(secret), updatedAt: by.now })
        .where(isClient(current.clientId))
        .returning()
      if (!client) throw new Error('the client was not updated')
      await endOfClient(tx, 'secret_replaced', client, { reason: 'client_request', now: by.now })
      const type = 'CLIENT_SECRET_REGENERATED'
      await invalidateClient(tx, client.clientId, { type, by })
      return { client, secret }
    }),
  )

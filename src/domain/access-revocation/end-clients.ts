/** Clients that go, or give back what they were given, whoever decides it. */
import { eq, type SQL } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import { isClient, isRegisteredAs, lockClient } from '#/domain/clients/clients.ts'
import { invalidateClient } from '#/domain/clients/invalidate.ts'
import { isOwnApp, type OwnApp } from '#/domain/clients/own-apps.ts'
import { span } from '#/telemetry/tracing.ts'
import { countsOf, type EndedAccess, endOfClient } from './endings.ts'

/** Deletes a client, whoever owns it; undefined when it is already gone. */
export const deleteClientBy = (db: Database, clientId: string, by: By) =>
  span('clients.delete', () => removeClient(db, isClient(clientId), by))

/** Deletes an app; undefined when its owner has none by that id. */
export const deleteApp = (db: Database, app: OwnApp, by: By) =>
  span('apps.delete', () => removeClient(db, isOwnApp(app), by))

/** Deletes a client that registered itself (RFC 7592 §2.3); undefined when it has gone already. */
export const deleteClient = (db: Database, client: Client, by: By) =>
  span('clients.delete', () => removeClient(db, isRegisteredAs(client), by))

const removeClient = (
  db: Database,
  which: SQL | undefined,
  by: By,
): Promise<EndedAccess | undefined> =>
  db.transaction(async (tx) => {
    const client = await lockClient(tx, which)
    if (!client) return undefined
    const { clientId } = client
    const ended = await endOfClient(tx, 'deleted', client, {
      reason: 'client_inactive',
      now: by.now,
    })
    await tx.delete(clients).where(eq(clients.clientId, clientId))
    await invalidateClient(tx, clientId, { type: 'CLIENT_DELETED', by, details: countsOf(ended) })
    return ended
  })

/** Takes back all that a client was given, which may ask for it again; undefined when it has gone. */
export const revokeAllOfClient = (
  db: Database,
  clientId: string,
  by: By,
): Promise<EndedAccess | undefined> =>
  span('clients.revoke_all', () =>
    db.transaction(async (tx) => {
      const client = await lockClient(tx, isClient(clientId))
      if (!client) return undefined
      const ended = await endOfClient(tx, 'revoked', client, {
        reason: 'admin_request',
        now: by.now,
      })
      await invalidateClient(tx, clientId, {
        type: 'CLIENT_ACCESS_REVOKED',
        by,
        details: countsOf(ended),
      })
      return ended
    }),
  )

/**
 * Clients that register themselves (RFC 7591) and look after their registration (RFC 7592). What an operator has
 * approved must not change behind their back: a client that becomes another one waits for approval again.
 */
import type { Database } from '#/database/client.ts'
import type { Client } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import { reserveRow } from '#/domain/row-limits/row-limits.ts'
import type { ClientMetadata } from '#/protocol/client-metadata.ts'
import { constantTimeEqual, randomSecret, sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { type CreatedClient, findClient, insertClient } from './clients.ts'
import { invalidateClient } from './invalidate.ts'
import { columnsOf } from './metadata.ts'
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
  const hash = client?.registrationTokenHash ?? undefined
  const isIts = hash !== undefined && constantTimeEqual(sha256(registrationToken), hash)
  return isIts ? client : undefined
}

/** FAPI 2.0 §5.3.2.1: a client that is held to the profile keeps its refresh token. */
export const profileOf = (metadata: ClientMetadata): Partial<Pick<Client, 'refreshTokenMode'>> =>
  metadata.require_pushed_authorization_requests ? { refreshTokenMode: 'fixed' } : {}

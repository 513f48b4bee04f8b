/** Changing and deleting a client, by an administrator, its owner or the client itself. */
import { eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import { discardAuthorizationCodes } from '#/domain/authorization-codes/authorization-codes.ts'
import { revokeTokensBeyond } from '#/domain/tokens/revoke-tokens.ts'
import { skeletonOf } from '#/protocol/names.ts'
import { isScopeWithin, scopeWords } from '#/protocol/scopes.ts'
import { randomSecret, sha256 } from '#/protocol/secrets.ts'
import type { TokenRevocationReason } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import { type CreatedClient, hasSecret, lockClient, type NewClient, versionOf } from './clients.ts'
import {
  countsOf,
  type EndedOfClient,
  endAccessOfClient,
  endAllOfClient,
  endCodesOfClient,
  nothingEnded,
} from './end-access.ts'
import { invalidateClient } from './invalidate.ts'
import { lockNames } from './names.ts'

const isClient = (clientId: string) => eq(clients.clientId, clientId)

type NextClient = Partial<NewClient> & Pick<Client, 'tokenEndpointAuthMethod' | 'updatedAt'>

interface End {
  /** Why tokens end that go beyond what the client may have now. */
  readonly reason: TokenRevocationReason
  readonly now: Date
}

export interface ChangedClient extends CreatedClient {
  readonly ended: EndedOfClient
}

/**
 * Replaces a locked client by `next` and ends what it may no longer have, or everything where it has to be approved
 * again. `secret` is a new one, for a client that had none.
 */
export async function changeClient(
  tx: Database,
  current: Client,
  next: NextClient,
  end: End,
): Promise<ChangedClient> {
  const replaced = await replaceClient(tx, current, next)
  return { ...replaced, ended: await endBeyond(tx, current, replaced.client, end) }
}

async function replaceClient(
  tx: Database,
  current: Client,
  next: NextClient,
): Promise<CreatedClient> {
  const { secret, ...secretColumns } = secretAfter(current, next)
  const [client] = await tx
    .update(clients)
    .set({ ...next, ...secretColumns, nameSkeleton: skeletonOf(next.name ?? current.name) })
    .where(isClient(current.clientId))
    .returning()
  if (!client) throw new Error('the client was not updated')
  return { client, secret }
}

/** A client that begins to need a secret gets one; one that no longer needs it loses it. */
function secretAfter(current: Client, next: Pick<Client, 'tokenEndpointAuthMethod'>) {
  if (!hasSecret(next.tokenEndpointAuthMethod)) return { secret: undefined, secretHash: null }
  if (current.secretHash !== null) return { secret: undefined }
  const secret = randomSecret()
  return { secret, secretHash: sha256(secret) }
}

/** Deletes a locked client, and ends all that it was given. */
export async function removeClient(tx: Database, clientId: string, by: By): Promise<EndedOfClient> {
  const ended = await endAllOfClient(tx, clientId, { reason: 'client_inactive', now: by.now })
  await tx.delete(clients).where(isClient(clientId))
  await invalidateClient(tx, clientId, { type: 'CLIENT_DELETED', by, details: countsOf(ended) })
  return ended
}

/** Deletes a client, whoever owns it; undefined when it is already gone. */
export const deleteClientBy = (
  db: Database,
  clientId: string,
  by: By,
): Promise<EndedOfClient | undefined> =>
  span('clients.delete', () =>
    db.transaction(async (tx) =>
      (await lockClient(tx, isClient(clientId))) ? removeClient(tx, clientId, by) : undefined,
    ),
  )

/** Takes back all that a client was given, which may ask for it again. */
export const revokeAllOfClient = (
  db: Database,
  clientId: string,
  by: By,
): Promise<EndedOfClient | undefined> =>
  span('clients.revoke_all', () =>
    db.transaction(async (tx) => {
      if (!(await lockClient(tx, isClient(clientId)))) return undefined
      const ended = await endAllOfClient(tx, clientId, { reason: 'admin_request', now: by.now })
      await invalidateClient(tx, clientId, {
        type: 'CLIENT_ACCESS_REVOKED',
        by,
        details: countsOf(ended),
      })
      return ended
    }),
  )

export interface ClientEdit {
  readonly clientId: string
  /** The version that was edited: a client that has changed since is not overwritten. */
  readonly seen: string
  readonly next: Omit<NextClient, 'updatedAt'>
}

/** Changes what a client is, for an operator. */
export const editClient = (
  db: Database,
  { clientId, seen, next }: ClientEdit,
  by: By,
): Promise<ChangedClient | 'unknown' | 'changed'> =>
  span('clients.edit', () =>
    db.transaction(async (tx) => {
      await lockNames(tx)
      const current = await lockClient(tx, isClient(clientId))
      if (!current) return 'unknown'
      if (versionOf(current) !== seen) return 'changed'
      const end = { reason: 'admin_request', now: by.now } as const
      const changed = await changeClient(tx, current, { ...next, updatedAt: by.now }, end)
      const details = countsOf(changed.ended)
      await invalidateClient(tx, clientId, { type: 'CLIENT_UPDATED', by, details })
      return changed
    }),
  )

/** Requests that wait for their users are judged again when these answer; see issueAuthorizationCode. */
async function endBeyond(
  tx: Database,
  before: Client,
  after: Client,
  end: End,
): Promise<EndedOfClient> {
  const { clientId } = after
  if (before.status === 'active' && after.status !== 'active')
    return endAccessOfClient(tx, clientId, { reason: 'client_inactive', now: end.now })
  if (isNarrower(before, after)) return endWider(tx, after, end)
  if (before.redirectUris.some((uri) => !after.redirectUris.includes(uri)))
    await discardAuthorizationCodes(tx, { clientId })
  return nothingEnded
}

const isNarrower = (before: Client, after: Client) =>
  !isScopeWithin(scopeWords(before.scope), after.scope) ||
  before.grantTypes.some((grant) => !after.grantTypes.includes(grant)) ||
  before.allowedResources.some((resource) => !after.allowedResources.includes(resource))

async function endWider(
  tx: Database,
  { clientId, scope, grantTypes, allowedResources }: Client,
  end: End,
): Promise<EndedOfClient> {
  const allowance = {
    clientId,
    scope: scopeWords(scope),
    resources: allowedResources,
    mayRefresh: grantTypes.includes('refresh_token'),
  }
  const tokens = await revokeTokensBeyond(tx, allowance, end)
  return { tokens, deviceCodes: await endCodesOfClient(tx, clientId, end.now), consents: 0 }
}

/**
 * What becomes of a client, whoever decides it: its operator, its owner or, registered by itself, the client. One
 * decision says what it is from now on, whether it has to be approved again, and what ends (`endings.ts`).
 */
import { eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import type { By } from '#/domain/audit/audit.ts'
import { type CreatedClient, hasSecret, type NewClient } from '#/domain/clients/clients.ts'
import { type ClientChange as Announced, invalidateClient } from '#/domain/clients/invalidate.ts'
import { needsApproval } from '#/domain/clients/metadata.ts'
import { skeletonOf } from '#/protocol/names.ts'
import { isScopeWithin, scopeWords } from '#/protocol/scopes.ts'
import { randomSecret, sha256 } from '#/protocol/secrets.ts'
import type { TokenRevocationReason } from '#/protocol/vocabulary.ts'
import { type ClientEnding, countsOf, type EndedAccess, endOfClient } from './endings.ts'

export interface ClientChange {
  readonly next: Partial<NewClient> & Partial<Pick<Client, 'approvedAt'>>
  /** Why tokens end that go beyond what the client may have from now on. */
  readonly reason: TokenRevocationReason
  /** Whether it waits for approval again when it becomes another client than was approved. */
  readonly reapprove: boolean
  /** How the audit log calls it. */
  readonly type: Announced['type']
}

export interface ChangedClient extends CreatedClient {
  readonly ended: EndedAccess
  /** Whether it has to be approved again; then its tokens and codes have ended. */
  readonly returned: boolean
}

/** Changes a locked client. `secret` is a new one, for a client that had none. */
export async function changeClient(
  tx: Database,
  current: Client,
  { next, reason, reapprove, type }: ClientChange,
  by: By,
): Promise<ChangedClient> {
  const { clientId } = current
  const returned = reapprove && current.status === 'active' && needsApproval(current, next)
  const status = returned ? 'pending' : (next.status ?? current.status)
  const { secret, ...secretColumns } = secretAfter(current, next)
  const name = next.name ?? current.name
  const [client] = await tx
    .update(clients)
    .set({ ...next, ...secretColumns, status, nameSkeleton: skeletonOf(name), updatedAt: by.now })
    .where(eq(clients.clientId, clientId))
    .returning()
  if (!client) throw new Error('the client was not updated')
  const ending = endingOf(current, client)
  const why = ending === 'disabled' ? 'client_inactive' : reason
  const ended = await endOfClient(tx, ending, client, { reason: why, now: by.now })
  await invalidateClient(tx, clientId, { type, by, details: { status, ...countsOf(ended) } })
  return { client, secret, ended, returned }
}

/** A client that begins to need a secret gets one; one that no longer needs it loses it. */
function secretAfter(current: Client, { tokenEndpointAuthMethod }: ClientChange['next']) {
  const method = tokenEndpointAuthMethod ?? current.tokenEndpointAuthMethod
  if (!hasSecret(method)) return { secret: undefined, secretHash: null }
  if (tokenEndpointAuthMethod === undefined || current.secretHash !== null)
    return { secret: undefined }
  const secret = randomSecret()
  return { secret, secretHash: sha256(secret) }
}

function endingOf(before: Client, after: Client): ClientEnding {
  if (after.status !== 'active' && before.status !== after.status) return 'disabled'
  if (isNarrower(before, after)) return 'narrowed'
  return before.redirectUris.some((uri) => !after.redirectUris.includes(uri))
    ? 'redirect_uri_removed'
    : 'changed'
}

const isNarrower = (before: Client, after: Client) =>
  !isScopeWithin(scopeWords(before.scope), after.scope) ||
  before.grantTypes.some((grant) => !after.grantTypes.includes(grant)) ||
  before.allowedResources.some((resource) => !after.allowedResources.includes(resource))

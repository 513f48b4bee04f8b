import type { Client } from '#/database/schema/clients.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { hmac } from '#/protocol/secrets.ts'

type Sector = Pick<Client, 'clientId' | 'subjectType' | 'sectorIdentifierUri' | 'redirectUris'>

/** The user as this client knows them (OIDC Core §8): by one name everywhere, or by another in each sector. */
export const subjectOf = (
  client: Sector,
  userId: string,
  { subjectKey }: Pick<KeySet, 'subjectKey'>,
): string =>
  // The sector holds no `|`, so no two pairs are the same text.
  client.subjectType === 'pairwise' ? hmac(subjectKey, `${sectorOf(client)}|${userId}`) : userId

/** §8.1: the host of the sector identifier, or the one of all redirect URIs. An app without a host is a sector of its own. */
function sectorOf({ clientId, sectorIdentifierUri, redirectUris }: Sector): string {
  const uri = sectorIdentifierUri ?? redirectUris[0]
  return (uri !== undefined && new URL(uri).hostname) || clientId
}

import type { Client } from '#/database/schema/clients.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { hmac } from '#/protocol/secrets.ts'

type Audience = Pick<Client, 'clientId' | 'subjectType' | 'sectorIdentifierUri' | 'redirectUris'>

/**
 * The user as this client knows them (OIDC Core §8). A pairwise subject is the same for all clients of a sector, and tells
 * those of two sectors nothing about each other (§8.1).
 */
export const subjectOf = (client: Audience, userId: string, keys: Pick<KeySet, 'subjectKey'>) =>
  client.subjectType === 'public' ? userId : hmac(keys.subjectKey, `${sectorOf(client)}|${userId}`)

/** §8.1: the host of the sector identifier, else of the redirect URIs, which registration has seen to be one. */
function sectorOf({ clientId, sectorIdentifierUri, redirectUris }: Audience): string {
  const uri = sectorIdentifierUri ?? redirectUris[0]
  return (uri === undefined ? '' : new URL(uri).host) || clientId
}

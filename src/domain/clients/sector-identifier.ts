import { z } from 'zod'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import type { ClientMetadata } from '#/protocol/client-metadata.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { parseJson } from '#/protocol/storable.ts'

const uris = z.array(z.string())

/**
 * OIDC Dynamic Registration §5: who names a sector must be named by it. The document there has to list every redirect
 * URI, or anybody could ask for the subjects of somebody else's sector.
 */
export async function verifySector(
  fetchDocument: FetchDocument,
  { sector_identifier_uri: url, redirect_uris: redirectUris }: ClientMetadata,
): Promise<void> {
  if (url === null) return
  const listed = await fetchDocument({
    purpose: 'sector_identifier',
    url,
    accept: 'application/json',
  })
    .then(({ text }) => uris.parse(parseJson(text)))
    .catch((cause: unknown) => refuse('must answer a JSON array of redirect URIs', cause))
  if (!redirectUris.every((uri) => listed.includes(uri)))
    refuse('must list all redirect_uris of this client')
}

function refuse(problem: string, cause?: unknown): never {
  throw new OAuthError('invalid_client_metadata', `sector_identifier_uri ${problem}`, { cause })
}

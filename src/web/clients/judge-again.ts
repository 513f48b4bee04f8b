/** Requests that were judged by a client which has changed since: once more, with the client as it is now. */
import { isDeepStrictEqual } from 'node:util'
import { isActiveClient } from '#/domain/clients/client-state.ts'
import { StaleClientError, type VersionedClient } from '#/domain/clients/client-version.ts'
import { OAuthError } from '#/protocol/errors.ts'
import type { ClientAuthentication } from './client-authentication.ts'

/**
 * Runs `judge` with an authenticated client and, if that is not what the database has, once more. What the client has
 * shown was for the credentials it had: with others it is refused, whichever they are.
 */
export async function judgeAgain<R>(
  { clients }: Pick<ClientAuthentication, 'clients'>,
  known: VersionedClient,
  judge: (client: VersionedClient) => Promise<R>,
): Promise<R> {
  try {
    return await judge(known)
  } catch (error) {
    if (!(error instanceof StaleClientError)) throw error
    const { clientId } = known
    clients.invalidate(clientId)
    const current = await clients.get(clientId)
    if (!current || !isActiveClient(current) || !hasSameCredentials(known, current))
      throw new OAuthError('invalid_client', 'client authentication failed', { cause: error })
    return judge(current)
  }
}

const credentials = [
  'tokenEndpointAuthMethod',
  'tokenEndpointAuthSigningAlg',
  'secretHash',
  'jwks',
  'jwksUri',
] as const satisfies readonly (keyof VersionedClient)[]

const hasSameCredentials = (one: VersionedClient, other: VersionedClient) =>
  credentials.every((name) => isDeepStrictEqual(one[name], other[name]))

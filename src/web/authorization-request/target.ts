/** Who asks, and where the answer goes: what has to be proven before anybody is sent anywhere. */
import type { ReadCache } from '#/database/read-cache.ts'
import { isActiveClient } from '#/domain/clients/client-state.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { matchesRedirectUri } from '#/protocol/redirect-uri.ts'
import {
  type AuthorizationTarget,
  responseModes,
  supportsResponseMode,
} from '#/protocol/response-modes.ts'

/** The active client that the parameters name. */
export async function requireClient(
  parameters: URLSearchParams,
  clients: ReadCache<Client>,
): Promise<Client> {
  return requireActive(requireOne(parameters, 'client_id'), clients)
}

/** The client, which must be active still. */
export async function requireActive(
  clientId: string | undefined,
  clients: ReadCache<Client>,
): Promise<Client> {
  const client = clientId === undefined ? undefined : await clients.get(clientId)
  if (!client || !isActiveClient(client))
    throw new OAuthError('invalid_client', 'the client is unknown', { status: 400 })
  return client
}

/** OIDC Core §3.1.2.1: the redirect URI is always named, and registered (RFC 9700 §2.1). */
export function readTarget(parameters: URLSearchParams, client: Client): AuthorizationTarget {
  const redirectUri = requireOne(parameters, 'redirect_uri')
  if (!matchesRedirectUri(redirectUri, client.redirectUris)) {
    throw new OAuthError(
      'invalid_redirect_uri',
      'the redirect_uri is not registered for this client',
    )
  }
  const mode = responseModes.find((known) => known === parameters.get('response_mode'))
  // An answer that cannot travel in the mode that was asked for says so in the query.
  const responseMode = mode && supportsResponseMode(mode, redirectUri) ? mode : 'query'
  return { redirectUri, responseMode, state: parameters.get('state') || null }
}

/** The same, or undefined where no such place is proven. */
export function findTarget(
  parameters: URLSearchParams,
  client: Client,
): AuthorizationTarget | undefined {
  try {
    return readTarget(parameters, client)
  } catch {
    return undefined
  }
}

function requireOne(parameters: URLSearchParams, name: string): string {
  const [value, ...more] = parameters.getAll(name)
  if (more.length > 0) throw new OAuthError('invalid_request', `${name} is repeated`)
  if (!value) throw new OAuthError('invalid_request', `${name} is missing`)
  return value
}

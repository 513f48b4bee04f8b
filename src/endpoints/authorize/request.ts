/** Reading and checking an authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, OIDC Core §3.1.2.1). */
import type { ReadCache } from '#/database/read-cache.ts'
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { AuthorizationError, OAuthError } from '#/protocol/errors.ts'
import { isCodeChallenge } from '#/protocol/pkce.ts'
import { matchesRedirectUri } from '#/protocol/redirect-uri.ts'
import { isScopeWithin, parseScope } from '#/protocol/scopes.ts'
import { uniqueParameters } from '#/web/forms.ts'

/** Longer values than any honest client needs are refused, since they would be stored. */
const longest = { state: 1024, nonce: 1024 } as const

/**
 * Client and redirect URI come first: as long as they are not proven, every error is a page (RFC 9700 §4.11.2). After
 * that, errors go back to the client.
 */
export async function parseAuthorizationRequest(
  query: URLSearchParams,
  clients: ReadCache<Client>,
): Promise<{ client: Client; request: RequestedAuthorization }> {
  const parameters = readTarget(query)
  const client = await requireClient(parameters.clientId, clients)
  const { redirectUri } = parameters
  if (!matchesRedirectUri(redirectUri, client.redirectUris)) {
    throw new OAuthError(
      'invalid_redirect_uri',
      'the redirect_uri is not registered for this client',
    )
  }
  const state = query.get('state') || undefined
  const refuse = (...[code, description]: [OAuthError['code'], string]): never => {
    throw new AuthorizationError(code, description, { redirectUri, state })
  }
  const rest = readRest(query, refuse)
  if (!client.grantTypes.includes('authorization_code')) {
    refuse('unauthorized_client', 'this client may not use the authorization code flow')
  }
  const scope = resolveScope(rest.get('scope'), client, refuse)
  requirePkce(rest, refuse)
  return {
    client,
    request: {
      clientId: client.clientId,
      redirectUri,
      scope,
      state: state ?? null,
      nonce: rest.get('nonce') ?? null,
      codeChallenge: rest.get('code_challenge') ?? null,
      responseMode: 'query',
      resources: [],
      claims: null,
      dpopJkt: null,
      interaction: {},
    },
  }
}

type Refuse = (code: OAuthError['code'], description: string) => never

function readTarget(query: URLSearchParams) {
  for (const name of ['client_id', 'redirect_uri']) {
    if (query.getAll(name).length > 1)
      throw new OAuthError('invalid_request', `${name} is repeated`)
  }
  const clientId = query.get('client_id')
  const redirectUri = query.get('redirect_uri')
  if (!clientId) throw new OAuthError('invalid_request', 'client_id is missing')
  if (!redirectUri) throw new OAuthError('invalid_request', 'redirect_uri is missing')
  return { clientId, redirectUri }
}

async function requireClient(clientId: string, clients: ReadCache<Client>): Promise<Client> {
  const client = await clients.get(clientId)
  if (client?.status === 'active') return client
  throw new OAuthError('invalid_client', 'the application is not known here', { status: 400 })
}

function readRest(query: URLSearchParams, refuse: Refuse): ReadonlyMap<string, string> {
  let rest: ReadonlyMap<string, string>
  try {
    rest = uniqueParameters(query)
  } catch (error) {
    return refuse(
      'invalid_request',
      error instanceof Error ? error.message : 'a parameter is repeated',
    )
  }
  for (const [name, limit] of Object.entries(longest)) {
    if ((rest.get(name)?.length ?? 0) > limit)
      refuse('invalid_request', `${name} is longer than ${limit} characters`)
  }
  if (rest.get('response_type') === undefined) refuse('invalid_request', 'response_type is missing')
  if (rest.get('response_type') !== 'code')
    refuse('unsupported_response_type', 'response_type must be code')
  if ((rest.get('response_mode') ?? 'query') !== 'query')
    refuse('invalid_request', 'response_mode must be query')
  return rest
}

/** RFC 6749 §3.3: without a scope, the client gets what it is registered for. */
function resolveScope(asked: string | undefined, client: Client, refuse: Refuse): string {
  const words =
    parseScope(asked ?? client.scope) ?? refuse('invalid_scope', 'the scope is malformed')
  if (asked !== undefined && words.length === 0) refuse('invalid_scope', 'the scope is malformed')
  if (!isScopeWithin(words, client.scope))
    refuse('invalid_scope', 'the scope exceeds what this client is registered for')
  return words.join(' ')
}

/** RFC 9700 §2.1.1: PKCE for every client. RFC 7636 §4.4.1: its errors are `invalid_request`. */
function requirePkce(rest: ReadonlyMap<string, string>, refuse: Refuse) {
  const challenge = rest.get('code_challenge')
  if (challenge === undefined) refuse('invalid_request', 'code_challenge is missing')
  if (rest.get('code_challenge_method') !== 'S256')
    refuse('invalid_request', 'code_challenge_method must be S256')
  if (challenge !== undefined && !isCodeChallenge(challenge))
    refuse('invalid_request', 'code_challenge is malformed')
}

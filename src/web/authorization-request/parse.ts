/**
 * Reading and checking an authorization request (RFC 6749 §4.1.1, OIDC Core §3.1.2.1), however it arrives: in a query,
 * in a form, or pushed by the client.
 */
import type { ReadCache } from '#/database/read-cache.ts'
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { AuthorizationError, OAuthError } from '#/protocol/errors.ts'
import { responseModes, supportsResponseMode } from '#/protocol/response-modes.ts'
import { hasScope } from '#/protocol/scopes.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { uniqueParameters } from '#/web/request/forms.ts'
import { readChallenge, readKeyThumbprint, readResources, resolveScope } from './oauth.ts'
import { readClaims, readInteraction } from './openid.ts'
import { type ObjectRules, openRequestObject } from './request-object.ts'
import { findTarget, readTarget, requireClient } from './target.ts'
import { isVouchedFor, type Vouching } from './vouched.ts'

export interface RequestRules extends ObjectRules, Vouching {
  readonly clients: ReadCache<Client>
  readonly keys: () => Promise<KeySet>
  /** Whether PKCE is required of all clients. */
  readonly pkceRequired: boolean
  readonly recorder: Pick<Recorder, 'requestedWithoutPkce'>
  /** Whether all clients have to push their requests (RFC 9126 §5). */
  readonly pushRequired: boolean
}

export interface ParsedRequest {
  readonly client: Client
  readonly request: RequestedAuthorization
}

export interface ArrivedRequest {
  readonly parameters: URLSearchParams
  /** Whether the client itself has brought it (RFC 9126). */
  readonly pushed: boolean
  readonly now: Date
}

/**
 * Client and redirect URI come first: as long as they are not proven, every error is a page (RFC 9700 §4.11.2). After
 * that, errors go back to the client: an `AuthorizationError` says where to.
 */
export async function parseAuthorizationRequest(
  { parameters: outer, pushed, now }: ArrivedRequest,
  rules: RequestRules,
): Promise<ParsedRequest> {
  const client = await requireClient(outer, rules.clients)
  const atOnce = isVouchedFor(client, rules)
  const parameters = await backToClient({ parameters: outer, client, atOnce }, () => {
    if (!pushed && mustPush(client, rules))
      throw new OAuthError('invalid_request', 'this client must push its authorization requests')
    return openRequestObject(outer, client, { rules, now })
  })
  const target = readTarget(parameters, client)
  return backToClient({ parameters, client, atOnce }, async () => ({
    client,
    request: { ...target, ...(await readRest(parameters, client, rules)) },
  }))
}

/** RFC 9126 §5 and §6. */
const mustPush = (client: Client, { pushRequired }: RequestRules) =>
  pushRequired || client.requirePushedAuthorizationRequests

/** Errors of a step go to the redirect URI that stands in the parameters, if that is one of the client's. */
async function backToClient<T>(
  { parameters, client, atOnce }: { parameters: URLSearchParams; client: Client; atOnce: boolean },
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step()
  } catch (error) {
    const target = error instanceof OAuthError && findTarget(parameters, client)
    if (!target) throw error
    const { code, message, status, cause } = error
    throw new AuthorizationError(code, message, target, { status, cause, atOnce })
  }
}

/** Longer values than any honest client needs are refused, since they would be stored. */
const longest = { state: 1024, nonce: 1024, claims: 4096 } as const

async function readRest(parameters: URLSearchParams, client: Client, rules: RequestRules) {
  const values = uniqueParameters(parameters, ['resource'])
  for (const [name, limit] of Object.entries(longest)) {
    if ((values.get(name)?.length ?? 0) > limit)
      throw new OAuthError('invalid_request', `${name} is longer than ${limit} characters`)
  }
  requireKnownForm(values)
  if (!client.grantTypes.includes('authorization_code'))
    throw new OAuthError(
      'unauthorized_client',
      'this client is not allowed to use the authorization code flow',
    )
  const scope = resolveScope(values.get('scope'), client)
  // FAPI 2.0 §5.3.2.2 asks PKCE of those that have to push.
  const required = rules.pkceRequired || client.requirePkce || mustPush(client, rules)
  const claims = hasScope(scope, 'openid') ? readClaims(values.get('claims'), client) : null
  const rest = {
    clientId: client.clientId,
    scope,
    nonce: values.get('nonce') ?? null,
    codeChallenge: readChallenge(values, { client, scope, required, ...rules }),
    resources: readResources(parameters, client),
    claims,
    dpopJkt: readKeyThumbprint(values),
    interaction: await readInteraction(values, { client, claims, rules }),
  }
  if (rest.codeChallenge === null) rules.recorder.requestedWithoutPkce('accepted')
  return rest
}

function requireKnownForm(values: ReadonlyMap<string, string>) {
  const responseType = values.get('response_type')
  if (responseType === undefined)
    throw new OAuthError('invalid_request', 'response_type is missing')
  if (responseType !== 'code')
    throw new OAuthError('unsupported_response_type', 'response_type must be code')
  const mode = responseModes.find((known) => known === (values.get('response_mode') ?? 'query'))
  if (mode === undefined || !supportsResponseMode(mode, values.get('redirect_uri') ?? ''))
    throw new OAuthError('invalid_request', 'the response_mode is not supported')
  // OIDC Core §7.2.1: only self-issued OpenID providers accept this parameter.
  if (values.has('registration'))
    throw new OAuthError(
      'registration_not_supported',
      'the registration parameter is not supported',
      { status: 400 },
    )
}

/** What an authorization request is checked for once its redirect URI is proven, in this order; each check throws. */
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { OAuthError } from '#/protocol/errors.ts'
import type { Offered } from '#/protocol/offered.ts'
import {
  type AuthorizationTarget,
  responseModes,
  supportsResponseMode,
} from '#/protocol/response-modes.ts'
import { uniqueParameters } from '#/web/request/forms.ts'
import {
  type PkceRules,
  readChallenge,
  readKeyThumbprint,
  readResources,
  resolveScope,
} from './oauth.ts'
import { type HintRules, readClaims, readInteraction } from './openid.ts'

export interface CheckRules extends PkceRules, HintRules {
  readonly offered: Offered
}

/** The request, all of it valid. */
export async function checkRequest(
  parameters: URLSearchParams,
  client: Client,
  rules: CheckRules,
): Promise<Omit<RequestedAuthorization, keyof AuthorizationTarget>> {
  const values = uniqueParameters(parameters, ['resource']) // RFC 6749 §3.1
  requireBounded(values) // they are stored
  requireResponseType(values) // RFC 6749 §3.1.1
  requireResponseMode(values) // Multiple Response Types §2.1, Form Post Response Mode §2
  refuseRegistration(values) // OIDC Core §7.2.1
  requireCodeGrant(client) // RFC 6749 §4.1.2.1
  const scope = resolveScope(values.get('scope'), client, rules.offered) // RFC 6749 §3.3
  const claims = readClaims(values.get('claims'), client, scope) // OIDC Core §5.5
  const codeChallenge = readChallenge(values, client, { scope, rules }) // RFC 7636 §4.4.1
  const resources = readResources(parameters, client) // RFC 8707 §2
  const dpopJkt = readKeyThumbprint(values) // RFC 9449 §10
  const interaction = await readInteraction(values, { client, claims, rules }) // OIDC Core §3.1.2.1
  const { clientId } = client
  const nonce = values.get('nonce') ?? null
  return { clientId, scope, nonce, codeChallenge, resources, claims, dpopJkt, interaction }
}

/** Longer values than any honest client needs are refused. */
const longest = { state: 1024, nonce: 1024, claims: 4096 } as const

function requireBounded(values: ReadonlyMap<string, string>) {
  for (const [name, limit] of Object.entries(longest)) {
    if ((values.get(name)?.length ?? 0) > limit)
      throw new OAuthError('invalid_request', `${name} is longer than ${limit} characters`)
  }
}

function requireResponseType(values: ReadonlyMap<string, string>) {
  const responseType = values.get('response_type')
  if (responseType === undefined)
    throw new OAuthError('invalid_request', 'response_type is missing')
  if (responseType !== 'code')
    throw new OAuthError('unsupported_response_type', 'response_type must be code')
}

function requireResponseMode(values: ReadonlyMap<string, string>) {
  const mode = responseModes.find((known) => known === (values.get('response_mode') ?? 'query'))
  if (mode === undefined || !supportsResponseMode(mode, values.get('redirect_uri') ?? ''))
    throw new OAuthError('invalid_request', 'the response_mode is not supported')
}

/** Only whoever issues tokens to itself sends its own registration. */
function refuseRegistration(values: ReadonlyMap<string, string>) {
  if (values.has('registration'))
    throw new OAuthError(
      'registration_not_supported',
      'the registration parameter is not supported',
      { status: 400 },
    )
}

function requireCodeGrant({ grantTypes }: Client) {
  if (!grantTypes.includes('authorization_code'))
    throw new OAuthError(
      'unauthorized_client',
      'this client is not allowed to use the authorization code flow',
    )
}

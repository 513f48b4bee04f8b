/** What is requested and what the code is bound to: scope, resources, PKCE, DPoP. */
import type { Client } from '#/domain/clients/clients.ts'
import { OAuthError } from '#/protocol/errors.ts'
import type { Offered } from '#/protocol/offered.ts'
import { isCodeChallenge } from '#/protocol/pkce.ts'
import { parseResources } from '#/protocol/resources.ts'
import {
  hasScope,
  isScopeWithin,
  isStandardScope,
  requireScope,
  scopeWords,
} from '#/protocol/scopes.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

/**
 * RFC 6749 §3.3: without a scope, the client gets what it is registered for. OIDC Core §3.1.2.1: words that nobody here
 * understands are ignored; plain OAuth requests are refused for them.
 */
export function resolveScope(
  asked: string | undefined,
  client: Client,
  { scopes }: Pick<Offered, 'scopes'>,
): string {
  const words = asked === undefined ? scopeWords(client.scope) : requireScope(asked)
  const had = words.filter((word) => !isStandardScope(word) || scopes.includes(word))
  const kept = words.includes('openid') ? had.filter((word) => isMeant(word, client)) : had
  if (words.length > 0 && had.length === 0)
    throw new OAuthError('invalid_scope', 'nothing of the scope is offered here')
  if (!isScopeWithin(kept, client.scope))
    throw new OAuthError('invalid_scope', 'the scope exceeds what this client is registered for')
  return kept.join(' ')
}

/** OIDC Core §11: offline_access is ignored, too, where it cannot be had. */
const isMeant = (word: string, { scope }: Client) =>
  hasScope(scope, word) || (word !== 'offline_access' && isStandardScope(word))

interface Bound {
  readonly scope: string
  readonly rules: PkceRules
}

export interface PkceRules extends PushRules {
  /** Whether PKCE is required of all clients. */
  readonly pkceRequired: boolean
  readonly recorder: Pick<Recorder, 'requestedWithoutPkce'>
}

interface PushRules {
  /** Whether all clients have to push their requests (RFC 9126 §5). */
  readonly pushRequired: boolean
}

/** RFC 9126 §5 and §6. */
export const mustPush = (client: Client, { pushRequired }: PushRules): boolean =>
  pushRequired || client.requirePushedAuthorizationRequests

/** RFC 7636 §4.4.1: its errors are `invalid_request`. */
export function readChallenge(
  values: ReadonlyMap<string, string>,
  client: Client,
  bound: Bound,
): string | null {
  const challenge = values.get('code_challenge')
  if (challenge === undefined) {
    const isRefused = values.has('code_challenge_method') || needsChallenge(client, bound)
    if (!isRefused) return null
    bound.rules.recorder.requestedWithoutPkce('refused')
    throw new OAuthError('invalid_request', 'code_challenge is missing')
  }
  if (values.get('code_challenge_method') !== 'S256')
    throw new OAuthError('invalid_request', 'code_challenge_method must be S256')
  if (!isCodeChallenge(challenge))
    throw new OAuthError('invalid_request', 'code_challenge is malformed')
  return challenge
}

/** RFC 9700 §2.1.1: confidential clients may rely on the nonce of OpenID Connect; not those that push (FAPI 2.0 §5.3.2.2). */
const needsChallenge = (client: Client, { scope, rules }: Bound) =>
  rules.pkceRequired ||
  client.requirePkce ||
  mustPush(client, rules) ||
  client.type === 'public' ||
  !hasScope(scope, 'openid')

/** RFC 8707 §2: each must be one that an operator allows this client. */
export function readResources(parameters: URLSearchParams, client: Client): string[] {
  const resources = parseResources(parameters.getAll('resource')) ?? []
  if (!resources.every((resource) => client.allowedResources.includes(resource)))
    throw new OAuthError('invalid_target', 'this client is not allowed to request that resource')
  return [...resources]
}

/** RFC 9449 §10: a SHA-256 thumbprint, as long as a code challenge. */
export function readKeyThumbprint(values: ReadonlyMap<string, string>): string | null {
  const thumbprint = values.get('dpop_jkt')
  if (thumbprint !== undefined && !isCodeChallenge(thumbprint))
    throw new OAuthError('invalid_request', 'dpop_jkt is malformed')
  return thumbprint ?? null
}

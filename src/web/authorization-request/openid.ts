/** How the user has to authenticate and which claims are requested (OIDC Core §3.1.2.1 and §5.5). */
import type { Interaction } from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { readIdTokenHint } from '#/domain/tokens/id-token-hint.ts'
import { acrValues } from '#/protocol/authentication.ts'
import { type ClaimsRequest, parseClaimsRequest, requiredAcr } from '#/protocol/claims.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { parsePrompt } from '#/protocol/prompts.ts'
import { hasScope } from '#/protocol/scopes.ts'

/** Throws when the client insists on a way of signing in that is not offered (OIDC Core Error Code `unmet_authentication_requirements` §2). */
export function readClaims(
  text: string | undefined,
  client: Client,
  scope: string,
): ClaimsRequest | null {
  if (text === undefined || !hasScope(scope, 'openid')) return null
  const claims = parseClaimsRequest(text, client.scope)
  const acr = requiredAcr(claims)
  if (acr && !acrValues.some((value) => acr.includes(value)))
    throw new OAuthError(
      'unmet_authentication_requirements',
      'none of the requested acr values is supported',
    )
  return claims
}

/** By which our own ID tokens are known. */
export interface HintRules {
  readonly issuer: string
  readonly keys: () => Promise<KeySet>
}

interface Context {
  readonly client: Client
  readonly claims: ClaimsRequest | null
  readonly rules: HintRules
}

export async function readInteraction(
  values: ReadonlyMap<string, string>,
  context: Context,
): Promise<Interaction> {
  const prompt = values.get('prompt')
  const maxAge = readMaxAge(values.get('max_age')) ?? context.client.defaultMaxAge ?? undefined
  const loginHint = values.get('login_hint')
  const subject = await readSubject(values.get('id_token_hint'), context)
  return {
    ...(prompt !== undefined && { prompt: parsePrompt(prompt) }),
    ...(maxAge !== undefined && { maxAge }),
    ...(loginHint !== undefined && loginHint.length <= maxLoginHint && { loginHint }),
    ...(subject !== undefined && { subject }),
  }
}

/** It is stored, so anything longer than a name or an email address is dropped. */
const maxLoginHint = 256

function readMaxAge(text: string | undefined): number | undefined {
  if (text !== undefined && !/^\d{1,9}$/.test(text))
    throw new OAuthError('invalid_request', 'max_age must be a whole number of seconds')
  return text === undefined ? undefined : Number(text)
}

/** The one user that will do: whom the hint is about, or whom the `sub` claim names (OIDC Core §5.5.1). */
async function readSubject(
  hint: string | undefined,
  { client, claims, rules }: Context,
): Promise<string | undefined> {
  const named = claims?.id_token?.['sub']?.value
  const claimed = typeof named === 'string' ? named : undefined
  if (hint === undefined) return claimed
  const known = await readIdTokenHint(await rules.keys(), rules.issuer, hint)
  if (known?.clientId !== client.clientId)
    throw new OAuthError('invalid_request', 'the id_token_hint was not issued to this client')
  if (claimed !== undefined && claimed !== known.subject)
    throw new OAuthError('invalid_request', 'id_token_hint and the sub claim name different users')
  return known.subject
}

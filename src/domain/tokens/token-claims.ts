/** What a token says of itself, wherever it is said: signed in it (RFC 9068 §2.2), and to who asks (RFC 7662 §2.2). */
import { hasScope } from '#/protocol/scopes.ts'
import type { Token } from './tokens.ts'

/** RFC 7519 §2: NumericDate. */
export const toNumericDate = (date: Date) => Math.floor(date.getTime() / 1000)

/** Empty values are left out. A refresh token has no audience but us. */
export const claimsOfToken = (token: Token, issuer: string, subject: string) => ({
  iss: issuer,
  sub: subject,
  client_id: token.clientId,
  jti: token.id,
  iat: toNumericDate(token.createdAt),
  exp: toNumericDate(token.expiresAt),
  ...(token.type === 'access' && { aud: audienceOf(issuer, token) }),
  ...(token.scope !== '' && { scope: token.scope }),
  ...authenticationOf(token),
  // RFC 9449 §6.1 and §6.2.
  ...(token.dpopJkt !== null && { cnf: { jkt: token.dpopJkt } }),
  // RFC 8693 §4.1.
  ...(token.details.actor && { act: token.details.actor }),
})

/** When and how the user proved who they are (RFC 9068 §2.2.1, OIDC Core §2). */
export const authenticationOf = ({ authTime, details: { acr, amr } }: Token) => ({
  ...(authTime && { auth_time: toNumericDate(authTime) }),
  ...(acr !== undefined && { acr }),
  ...(amr && { amr }),
})

/** What a token is for: the resources that were named (RFC 8707), and this server where it opens userinfo. */
export function audienceOf(
  issuer: string,
  { resources, scope }: Pick<Token, 'resources' | 'scope'>,
): string | string[] {
  if (resources.length === 0) return issuer
  if (hasScope(scope, 'openid')) return [...resources, issuer]
  return resources.length === 1 && resources[0] ? resources[0] : resources
}

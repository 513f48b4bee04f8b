/** From what was granted to what this one response hands out: never more, often less. */
import { OAuthError } from '#/protocol/errors.ts'
import { hasScope, isScopeWithin } from '#/protocol/scopes.ts'

/**
 * OIDC Core §11: with `openid`, only `offline_access` earns a refresh token. Plain OAuth requests know no such scope,
 * and get one as RFC 6749 §1.5 has it: when the client may use it.
 */
export const mayRefresh = (scope: string): boolean =>
  hasScope(scope, 'offline_access') || !hasScope(scope, 'openid')

/** RFC 6749 §6: at most what was granted; undefined asks for all of it. */
export function narrowScope(granted: string, asked: readonly string[] | undefined): string {
  if (asked === undefined) return granted
  if (!isScopeWithin(asked, granted))
    throw new OAuthError('invalid_scope', 'the scope exceeds what was granted')
  return asked.join(' ')
}

/** RFC 8707 §2.2: at most what was granted; undefined asks for all of it. */
export function narrowResources(
  granted: readonly string[],
  asked: readonly string[] | undefined,
): readonly string[] {
  if (asked === undefined) return granted
  if (!asked.every((resource) => granted.includes(resource)))
    throw new OAuthError('invalid_target', 'this client is not allowed to request that resource')
  return asked
}

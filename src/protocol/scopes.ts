/** Scopes, RFC 6749 §3.3: space-separated, case-sensitive, order without meaning. */
import { OAuthError } from './errors.ts'

/** OIDC Core §5.4 and §11. */
export const standardScopes = ['openid', 'profile', 'email', 'offline_access'] as const

/** Whether this server knows what the word means. */
export const isStandardScope = (word: string): boolean =>
  (standardScopes as readonly string[]).includes(word)

/** The words of a scope string, each once; undefined when a character is not allowed. */
export function parseScope(scope: string): string[] | undefined {
  const words = [...new Set(scope.split(' ').filter((word) => word !== ''))]
  return words.every((word) => /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(word)) ? words : undefined
}

/** The words of a scope that somebody asks for; throws unless there is one at least, and all are well-formed. */
export function requireScope(scope: string): string[] {
  const words = parseScope(scope)
  if (!words?.length) throw new OAuthError('invalid_scope', 'the scope is malformed')
  return words
}

export const scopeWords = (scope: string): string[] =>
  scope.split(' ').filter((word) => word !== '')

export const hasScope = (scope: string, word: string): boolean => scopeWords(scope).includes(word)

/** Whether every word of `asked` is in `allowed`. */
export const isScopeWithin = (asked: readonly string[], allowed: string): boolean => {
  const words = new Set(scopeWords(allowed))
  return asked.every((word) => words.has(word))
}

/** Both scopes' words, in order of appearance. */
export const mergeScopes = (a: string, b: string): string =>
  [...new Set([...scopeWords(a), ...scopeWords(b)])].join(' ')

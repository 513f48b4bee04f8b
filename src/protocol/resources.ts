/** Resource indicators (RFC 8707): what a token is to be used at. */
import { OAuthError } from './errors.ts'

/** RFC 8707 §2: an absolute URI without a fragment. */
export const isResource = (value: string): boolean =>
  value.length <= 2048 && !value.includes('#') && URL.canParse(value)

/** The values of a request's `resource` parameters, each once; undefined when there are none. Throws `invalid_target`. */
export function parseResources(values: readonly string[]): readonly string[] | undefined {
  const named = [...new Set(values.filter((value) => value !== ''))]
  if (named.length === 0) return undefined
  if (named.length > 16 || !named.every(isResource))
    throw new OAuthError('invalid_target', 'a resource must be an absolute URI without fragment')
  return named
}

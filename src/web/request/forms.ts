/** Reading form bodies: one content type, one value per name (RFC 6749 §3.1 and §3.2). */
import { OAuthError } from '#/protocol/errors.ts'
import { isStorable } from '#/protocol/storable.ts'
import type { AppContext } from './context.ts'

/** Field -> value. Throws `invalid_request` for a repeated field as well; empty values are left out. */
export const readForm = async (c: AppContext): Promise<ReadonlyMap<string, string>> =>
  uniqueParameters(await readFields(c))

/** The fields as they were sent, where some may repeat. Throws `invalid_request` for another content type or a NUL. */
export async function readFields(c: AppContext): Promise<URLSearchParams> {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') {
    throw new OAuthError('invalid_request', 'the body must be application/x-www-form-urlencoded')
  }
  const fields = new URLSearchParams(await c.req.text())
  for (const [name, value] of fields) requireStorable(name, value)
  return fields
}

/**
 * RFC 6749 §3.1: parameters without a value are treated as omitted, and none may be repeated. Those that may
 * (`resource`, RFC 8707 §2) are named, and left out.
 */
export function uniqueParameters(
  parameters: URLSearchParams,
  repeatable: readonly string[] = [],
): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const [name, value] of parameters) {
    if (repeatable.includes(name)) continue
    if (values.has(name)) throw new OAuthError('invalid_request', `${printable(name)} is repeated`)
    values.set(name, value)
  }
  for (const [name, value] of values) if (value === '') values.delete(name)
  return values
}

function requireStorable(name: string, value: string) {
  if (!isStorable(name) || !isStorable(value))
    throw new OAuthError('invalid_request', `${printable(name)} contains a NUL character`)
}

/** A parameter's name as it may appear in an error: short, and within what RFC 6749 §5.2 allows. */
const printable = (name: string) => (/^[\w.-]{1,40}$/.test(name) ? name : 'a parameter')

/** The words or lines of a text; people also write commas between them. */
export const wordsOf = (text: string | null): string[] =>
  (text ?? '').split(/[\s,]+/).filter((word) => word !== '')

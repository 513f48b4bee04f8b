/** Removes secrets from log lines, by property name. */

const redacted = '[redacted]'

const secretNames = new Set([
  'code',
  'authorizationcode',
  'devicecode',
  'usercode',
  'codeverifier',
  'verifier',
  'assertion',
  'clientassertion',
  'seal',
  'privatekey',
  'jwk',
  'credentials',
])
const secretWords = /authorization|cookie|password|secret|csrf/
const secretEndings = /tokens?$/
const isAddress = /ur[il]$|path$|href$|location$|referr?er$|redirect$/

const deepest = 6

/** A copy without secrets and without queries of addresses. Errors are left to their serializer. */
export function redact(object: Record<string, unknown>): Record<string, unknown> {
  return copy(object, 1)
}

function copy(object: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [name, loggable(name, value, depth)]),
  )
}

function loggable(name: string, value: unknown, depth: number): unknown {
  const plain = name.toLowerCase().replaceAll(/[-_]/g, '')
  // Counts and flags tell nothing: `tokens: 3` may stay.
  if (isSecret(plain) && !['number', 'boolean', 'undefined'].includes(typeof value)) return redacted
  if (typeof value === 'string') return isAddress.test(plain) ? value.split('?', 1)[0] : value
  return plainValue(value, depth)
}

function plainValue(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error || value instanceof Date) return value
  if (depth >= deepest) return '[deep]'
  return Array.isArray(value)
    ? value.map((item) => plainValue(item, depth + 1))
    : copy(value, depth + 1)
}

const isSecret = (plain: string) =>
  secretNames.has(plain) || secretWords.test(plain) || secretEndings.test(plain)

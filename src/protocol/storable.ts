/**
 * Text that can be kept: Postgres stores neither NUL nor half a surrogate pair, and no honest value holds them. Everything
 * that comes from outside passes here once, where it is read, and is refused as a whole: nothing further in asks again.
 */

/** Whether a text can be stored as it is. */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

/** Whether all texts in it can, names of members included. */
export function isStorableValue(value: unknown): boolean {
  try {
    JSON.stringify(value, refuseUnstorable)
    return true
  } catch {
    return false
  }
}

/** Parses JSON from outside. Throws for invalid JSON and for texts that Postgres cannot store (RFC 8259 §8.2). */
export const parseJson = (text: string): unknown => JSON.parse(text, refuseUnstorable)

/** The same, or undefined for what is none. */
export function readJson(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

function refuseUnstorable(name: string, value: unknown): unknown {
  for (const text of [name, value])
    if (typeof text === 'string' && !isStorable(text)) throw new Error('a text cannot be stored')
  return value
}

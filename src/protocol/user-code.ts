/** User codes (RFC 8628 §6.1): short enough to be typed, from letters that spell no words and resemble each other least. */
import { randomInt } from 'node:crypto'

/** Base 20: no vowels, no digits. */
const letters = 'BCDFGHJKLMNPQRSTVWXZ'
const length = 8

/** 20^8 codes, of which few are open at any moment. */
export const randomUserCode = (): string =>
  format(Array.from({ length }, () => letters[randomInt(letters.length)]).join(''))

/** Normalizes a typed code; undefined if it cannot be one. Case and punctuation do not matter. */
export function parseUserCode(typed: string): string | undefined {
  if (typed.length > 64) return undefined
  const plain = typed.toUpperCase().replaceAll(/[\s\p{P}]/gu, '')
  const known = plain.length === length && [...plain].every((letter) => letters.includes(letter))
  return known ? format(plain) : undefined
}

const format = (plain: string) => `${plain.slice(0, 4)}-${plain.slice(4)}`

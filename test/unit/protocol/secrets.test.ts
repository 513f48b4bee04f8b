import { describe, expect, it } from 'vitest'
import {
  constantTimeEqual,
  deriveKey,
  hmac,
  newestOf,
  randomSecret,
  sha256,
} from '#/protocol/secrets.ts'

describe('secrets', () => {
  it('are 256 random bits in characters that need no encoding', () => {
    const made = new Set(Array.from({ length: 1000 }, randomSecret))
    expect(made.size).toBe(1000)
    for (const secret of made) expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  it('are digested as FIPS 180-4 and RFC 4231 say', () => {
    const hex = (text: string) => Buffer.from(text, 'base64url').toString('hex')
    expect(hex(sha256('abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    expect(hex(hmac('Jefe', 'what do ya want for nothing?'))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    )
  })

  it('derive keys that differ by purpose and by secret, the same each time', () => {
    const keys = [
      deriveKey('one', 'csrf'),
      deriveKey('one', 'refresh'),
      deriveKey('two', 'csrf'),
    ].map((key) => Buffer.from(key).toString('hex'))
    expect(new Set(keys).size).toBe(3)
    for (const key of keys) expect(key).toHaveLength(64)
    expect(Buffer.from(deriveKey('one', 'csrf')).toString('hex')).toBe(keys[0])
  })

  it('are never replaced by an empty one', () => {
    expect(newestOf(['new', 'old'])).toBe('new')
    expect(() => newestOf([])).toThrow('no secret')
  })

  it('are equal only when every character is', () => {
    const cases: [string, string, boolean][] = [
      ['', '', true],
      ['a', 'a', true],
      ['a', 'b', false],
      ['a', 'aa', false],
      ['a', 'a\0', false],
      ['é', 'e\u0301', false],
    ]
    for (const [a, b, equal] of cases) expect(constantTimeEqual(a, b)).toBe(equal)
  })
})

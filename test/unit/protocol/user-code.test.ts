import { describe, expect, it } from 'vitest'
import { parseUserCode, randomUserCode } from '#/protocol/user-code.ts'

describe('user codes', () => {
  it('have eight letters out of twenty, none of them a vowel', () => {
    const codes = Array.from({ length: 500 }, randomUserCode)
    for (const code of codes)
      expect(code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
    expect(new Set(codes.join('')).size).toBe(21)
    expect(new Set(codes).size).toBe(500)
  })

  it.each([
    'BCDF-GHJK',
    'bcdfghjk',
    ' bcdf ghjk ',
    'B.C.D.F_G.H.J.K',
    'bcdf–ghjk',
    'BCDF\u00a0GHJK',
  ])('are understood however they are typed: %j', (typed) => {
    expect(parseUserCode(typed)).toBe('BCDF-GHJK')
  })

  it.each([
    '',
    'BCDF-GHJ',
    'BCDF-GHJKL',
    'BCDF-GHJA',
    'BCDF-GHJ1',
    'BCDF-GHJ\0',
    'ßCDF-GHJK',
    `${'-'.repeat(99)}BCDFGHJK`,
  ])('are not seen in what is none: %j', (typed) => {
    expect(parseUserCode(typed)).toBeUndefined()
  })

  it('come back as they were drawn', () => {
    const code = randomUserCode()
    expect(parseUserCode(code)).toBe(code)
  })
})

import { describe, expect, it } from 'vitest'
import { isAllowed, productionLicences, severeWeaknesses } from './dependencies.ts'

it('every package of production has a licence that asks for no more than to be named', () => {
  const licences = productionLicences()
  expect(licences.map(({ name }) => name)).toEqual(expect.arrayContaining(['hono', 'postgres']))
  expect(licences.filter(({ licence }) => !isAllowed(licence))).toEqual([])
})

it.each([
  ['MIT', true],
  ['(MIT OR Apache-2.0)', true],
  ['MIT OR GPL-3.0-only', true],
  ['MIT AND Apache-2.0', true],
  ['MIT AND GPL-3.0-only', false],
  ['GPL-3.0-only', false],
  ['SEE LICENSE IN LICENSE.txt', false],
  ['none', false],
])('the licence %j is allowed: %s', (expression, answer) => {
  expect(isAllowed(expression)).toBe(answer)
})

describe('the answer of npm audit', () => {
  it('names what is of high severity', () => {
    const vulnerabilities = {
      small: { severity: 'moderate' },
      large: { severity: 'high' },
      worst: { severity: 'critical' },
    }
    expect(severeWeaknesses(JSON.stringify({ vulnerabilities }))).toEqual([
      'large (high)',
      'worst (critical)',
    ])
    expect(severeWeaknesses('{"vulnerabilities":{}}')).toEqual([])
  })

  it.each(['', 'npm error network', '{"message":"405 Method Not Allowed","statusCode":405}'])(
    'is none where the registry has no such endpoint or cannot be reached: %j',
    (answer) => {
      expect(severeWeaknesses(answer)).toBeUndefined()
    },
  )
})

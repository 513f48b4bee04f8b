import { describe, expect, it } from 'vitest'
import { hasScope, isScopeWithin, mergeScopes, parseScope, scopeWords } from '#/protocol/scopes.ts'

describe('parseScope', () => {
  const good: [string, string[]][] = [
    ['openid', ['openid']],
    ['openid profile openid', ['openid', 'profile']],
    ['  openid   profile ', ['openid', 'profile']],
    ['', []],
    ['   ', []],
    ['OPENID openid', ['OPENID', 'openid']],
    ["https://api.test/read!#[]^_`{|}~'", ["https://api.test/read!#[]^_`{|}~'"]],
  ]
  it.each(good)('reads %j', (scope, words) => expect(parseScope(scope)).toEqual(words))

  it.each(['a"b', 'a\\b', 'a\tb', 'a\nb', 'a\0', 'é', 'a\u00a0b', '\u2003', '\x7f'])(
    'refuses %j: RFC 6749 §3.3 allows only some of ASCII',
    (scope) => expect(parseScope(`openid ${scope}`)).toBeUndefined(),
  )
})

describe('scope sets', () => {
  it('know their words whole, not parts of them', () => {
    expect(hasScope('openid profile', 'profile')).toBe(true)
    expect(hasScope('openid profiles', 'profile')).toBe(false)
    expect(hasScope('', '')).toBe(false)
    expect(scopeWords(' a  b ')).toEqual(['a', 'b'])
  })

  it('contain one another word by word', () => {
    expect(isScopeWithin([], '')).toBe(true)
    expect(isScopeWithin(['b', 'a'], 'a b c')).toBe(true)
    expect(isScopeWithin(['a', 'd'], 'a b c')).toBe(false)
    expect(isScopeWithin(['a'], 'A')).toBe(false)
    expect(isScopeWithin([''], 'a b')).toBe(false)
  })

  it('merge without doubles, in order of appearance', () => {
    expect(mergeScopes('b a', 'a c b')).toBe('b a c')
    expect(mergeScopes('', '')).toBe('')
  })
})

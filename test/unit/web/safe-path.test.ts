import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { safePath } from '#/web/guards/safe-path.ts'

describe('safePath', () => {
  it.each([
    '/',
    '/account/devices',
    '/oauth/authorize?authorization_request=x',
    '/a?b=//c',
    '/a%2Fb',
  ])('keeps %s', (path) => expect(safePath(path, '/start')).toBe(path))

  it('drops the fragment and resolves dots', () => {
    expect(safePath('/a/../b?c#d', '/start')).toBe('/b?c')
  })

  it('never leads away from this site, whatever it is handed', () => {
    const pieces = fc.constantFrom(
      '/',
      '\\',
      '//',
      '.',
      '..',
      '@',
      ':',
      '?',
      '#',
      'http:',
      'https://',
      'javascript:',
      'evil.test',
      '%2f',
      '%5c',
      '%09',
      '\t',
      '\n',
      '\r',
      '\0',
      ' ',
      '\u00a0',
      '\u2028',
      '／',
      '。',
      'a',
    )
    const character = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code))
    const site = 'https://id.example.test'
    const leadsHome = (target: string) => {
      const path = safePath(target, '/start')
      const url = new URL(path, site)
      return (
        url.origin === site && path.startsWith('/') && !/^\/[/\\]/.test(path) && url.username === ''
      )
    }
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => leadsHome(parts.join(''))),
      { numRuns: 3000 },
    )
    fc.assert(
      fc.property(fc.array(character), (codes) => leadsHome(`/${codes.join('')}`)),
      { numRuns: 3000 },
    )
  })

  it.each([undefined, '', 'a', '//a', '/\\a', '/\ta', `/${'a'.repeat(4096)}`])(
    'leads elsewhere instead of %j',
    (target) => expect(safePath(target, '/start')).toBe('/start'),
  )
})

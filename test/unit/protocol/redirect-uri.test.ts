import { describe, expect, it } from 'vitest'
import {
  addQuery,
  isRegistrableRedirectUri,
  matchesRedirectUri,
  redirectSource,
} from '#/protocol/redirect-uri.ts'

describe('isRegistrableRedirectUri', () => {
  it.each([
    'https://app.example.test/callback',
    'https://app.example.test',
    'https://app.example.test:8443/cb?tenant=1',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:3000/cb',
    'http://[::1]/cb',
    'http://localhost:3000/cb',
    'com.example.app:/oauth',
    'com.example.app://oauth',
  ])('takes %s', (uri) => expect(isRegistrableRedirectUri(uri)).toBe(true))

  it.each([
    '',
    'callback',
    '/callback',
    '//app.example.test/callback',
    'https://',
    'https://app.example.test/#',
    'https://app.example.test/cb#token',
    'https://user@app.example.test/cb',
    'https://user:password@app.example.test/cb',
    'https://:password@app.example.test/cb',
    'http://app.example.test/cb',
    'http://127.0.0.1.evil.test/cb',
    'http://127.0.0.1:80@evil.test/cb',
    'http://localhost.evil.test/cb',
    'http://[::2]/cb',
    'http://0.0.0.0/cb',
    'javascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://x/y',
    'about:blank',
    'ftp://app.example.test/',
    'myapp:/oauth',
    'com.:/x',
  ])('refuses %j', (uri) => expect(isRegistrableRedirectUri(uri)).toBe(false))

  it('takes schemes without a dot that are named, or any that are nobody else’s (RFC 8252 §7.1)', () => {
    const uris = ['cursor://anysphere.cursor/cb', 'vscode:/cb', 'my-app+1:/cb']
    for (const uri of uris) expect(isRegistrableRedirectUri(uri, 'any'), uri).toBe(true)
    expect(isRegistrableRedirectUri('cursor:/cb', ['cursor'])).toBe(true)
    expect(isRegistrableRedirectUri('Cursor:/cb', ['cursor'])).toBe(true)
    for (const uri of ['vscode:/cb', 'cursor2:/cb', 'cursor:/cb#here', 'cursor'])
      expect(isRegistrableRedirectUri(uri, ['cursor']), uri).toBe(false)
  })

  it.each([
    'javascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'filesystem:https://x/y',
    'blob:https://x/y',
    'about:blank',
    'view-source:https://x',
    'http://app.example.test/cb',
    'ws://app.example.test/',
    'wss://app.example.test/',
    'ftp://app.example.test/',
    'intent://x/#Intent;end',
    'mailto:a@example.test',
    'x:/cb',
  ])('never takes %j, whoever registers and whatever is allowed', (uri) => {
    const scheme = uri.slice(0, uri.indexOf(':'))
    expect(isRegistrableRedirectUri(uri, 'any')).toBe(false)
    expect(isRegistrableRedirectUri(uri, [scheme])).toBe(false)
  })
})

describe('matchesRedirectUri', () => {
  it('compares strings, not what they might mean (RFC 9700 §2.1)', () => {
    const registered = ['https://app.example.test/cb', 'com.example.app:/oauth']
    expect(matchesRedirectUri('https://app.example.test/cb', registered)).toBe(true)
    expect(matchesRedirectUri('com.example.app:/oauth', registered)).toBe(true)
    for (const other of [
      'https://app.example.test:443/cb',
      'https://app.example.test/cb/',
      'https://APP.example.test/cb',
      'https://app.example.test/cb?',
      'https://app.example.test:1234/cb',
      'com.example.app:/OAuth',
      '',
    ])
      expect(matchesRedirectUri(other, registered), other).toBe(false)
    expect(matchesRedirectUri('https://app.example.test/cb', [])).toBe(false)
  })

  it('passes over the port on the loopback interface alone (RFC 8252 §7.3)', () => {
    const registered = ['http://127.0.0.1:3000/cb', 'http://[::1]/']
    for (const port of ['', ':1', ':3000', ':65535'])
      expect(matchesRedirectUri(`http://127.0.0.1${port}/cb`, registered)).toBe(true)
    expect(matchesRedirectUri('http://[::1]:99/', registered)).toBe(true)
    for (const other of [
      'http://127.0.0.1:65536/cb',
      'http://127.0.0.1:99999/cb',
      'http://127.0.0.1:123456/cb',
      'http://127.0.0.1:/cb',
      'http://127.0.0.1:80@evil.test/cb',
      'http://user@127.0.0.1:80/cb',
      'http://127.0.0.1:80/cb#x',
      'http://127.0.0.1:80/other',
      'https://127.0.0.1:80/cb',
      'http://localhost:80/cb',
      'http://127.0.0.2:80/cb',
      'http://[::1]:99/cb',
      'HTTP://127.0.0.1:80/cb',
      '\nhttp://127.0.0.1:80/cb',
      'http://127.0.0.1:80/cb\n',
    ])
      expect(matchesRedirectUri(other, registered), JSON.stringify(other)).toBe(false)
  })

  it('accepts nothing that a browser would open anywhere but there', () => {
    const registered = ['http://127.0.0.1/cb']
    const tails = [
      '@evil.test',
      ':1@evil.test',
      '.evil.test',
      '\\@evil.test',
      '%2eevil.test',
      ':1%40evil.test',
    ]
    for (const tail of tails)
      for (const path of ['', '/', '/cb'])
        expect(matchesRedirectUri(`http://127.0.0.1${tail}${path}`, registered)).toBe(false)
  })
})

describe('addQuery', () => {
  it('keeps the query that is there, encodes, and leaves out what is undefined', () => {
    expect(addQuery('https://a.test/cb', { code: 'a b&c=d', state: undefined })).toBe(
      'https://a.test/cb?code=a+b%26c%3Dd',
    )
    expect(addQuery('https://a.test/cb?x=1', { code: '2' })).toBe('https://a.test/cb?x=1&code=2')
    expect(addQuery('com.example.app:/oauth', { code: '2' })).toBe('com.example.app:/oauth?code=2')
    expect(addQuery('https://a.test/', { state: '\r\nset-cookie: x' })).not.toMatch(/[\r\n]/)
  })
})

describe('redirectSource', () => {
  it('names the origin, or the scheme of a native app and of an IPv6 address', () => {
    expect(redirectSource('https://a.test:8443/cb?x')).toBe('https://a.test:8443')
    expect(redirectSource('http://127.0.0.1:99/')).toBe('http://127.0.0.1:99')
    expect(redirectSource('http://[::1]:99/')).toBe('http:')
    expect(redirectSource('com.example.app:/oauth')).toBe('com.example.app:')
  })
})

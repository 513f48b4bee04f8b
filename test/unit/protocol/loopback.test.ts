import { expect, it } from 'vitest'
import { isLoopbackAddress, isLoopbackHost } from '#/protocol/loopback.ts'
import { isRegistrableRedirectUri, matchesRedirectUri } from '#/protocol/redirect-uri.ts'

it.each([
  ['127.0.0.1', true, true],
  ['127.9.9.9', true, false],
  ['::1', true, true],
  ['128.0.0.1', false, false],
  ['::2', false, false],
  ['localhost', true, true],
  ['localhost.example.test', false, false],
  ['app.localhost', false, false],
])('%s is this machine: %s, and may be redirected to: %s', (host, isOwn, isRedirected) => {
  expect(isLoopbackHost(host)).toBe(isOwn)
  expect(isLoopbackAddress(host)).toBe(isOwn && host !== 'localhost')
  const uri = `http://${host.includes(':') ? `[${host}]` : host}/callback`
  expect(isRegistrableRedirectUri(uri)).toBe(isRedirected)
  expect(matchesRedirectUri(uri.replace('/callback', ':4711/callback'), [uri])).toBe(isRedirected)
})

it.each([
  'http://127.0.0.1:4711/other',
  'http://127.0.0.1:99999/callback',
  'http://user@127.0.0.1:4711/callback',
  'http://127.0.0.1:4711/callback#x',
  'https://127.0.0.1:4711/callback',
])('%s is not meant by http://127.0.0.1/callback', (asked) => {
  expect(matchesRedirectUri(asked, ['http://127.0.0.1/callback'])).toBe(false)
})

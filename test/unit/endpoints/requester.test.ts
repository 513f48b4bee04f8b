import { expect, it } from 'vitest'
import { nameRequester } from '#/endpoints/device/requester.ts'

const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

it.each([
  ['curl/8.14.1', 'curl'],
  ['Go-http-client/1.1', 'A Go program'],
  ['python-requests/2.32 (Linux)', 'A Python program on Linux'],
  ['node', 'A Node.js program'],
  ['okhttp/5.1.0', 'A Java program'],
  ['reqwest/0.12.1', 'A Rust program'],
  ['Wget/1.25.0', 'Wget'],
  [firefox, 'Firefox on Linux'],
  ['', 'An unknown program'],
  ['YourBank/1.0 (the real one; Windows)', 'An unknown program on Windows'],
])('names %j in words that are not its own', (userAgent, name) => {
  expect(nameRequester(userAgent)).toBe(name)
})

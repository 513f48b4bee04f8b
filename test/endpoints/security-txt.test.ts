/** RFC 9116. */
import { afterEach, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp | undefined
afterEach(() => app?.close())

const path = '/.well-known/security.txt'

it('names whom to tell, best first, for less than a year, at an address of its own', async () => {
  app = await startTestApp({
    settings: {
      BASE_URL: 'https://id.example.test',
      SECURITY_CONTACT: 'mailto:security@example.test, https://example.test/report',
      SECURITY_POLICY: 'https://example.test/policy',
    },
  })
  const answer = await app.request(path)
  expect([answer.status, answer.headers.get('content-type')?.toLowerCase()]).toEqual([
    200,
    'text/plain; charset=utf-8',
  ])
  const text = await answer.text()
  const expires = /^Expires: (.+)$/m.exec(text)?.[1] ?? ''
  expect(text).toBe(`Contact: mailto:security@example.test
Contact: https://example.test/report
Expires: ${expires}
Policy: https://example.test/policy
Canonical: https://id.example.test${path}
`)
  const days = (new Date(expires).getTime() - app.now().getTime()) / 86_400_000
  expect(days).toBeGreaterThan(90)
  expect(days).toBeLessThan(365)
})

it('is not there where nobody is named', async () => {
  app = await startTestApp()
  expect((await app.request(path)).status).toBe(404)
})

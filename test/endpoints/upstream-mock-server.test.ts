/** The same against a server made for tests, which can be told to lie: its tokens, its answers, its silence. */
import { type MutableResponse, type MutableToken, OAuth2Server } from 'oauth2-mock-server'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { usedProofs } from '#/database/schema/used-proofs.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { observeUnchanged } from './refusals.ts'

let app: TestApp
const server = new OAuth2Server()
beforeAll(async () => {
  await server.issuer.keys.generate('RS256')
  await server.start(0, '127.0.0.1')
  server.issuer.url = server.issuer.url?.replace('localhost', '127.0.0.1') ?? ''
  app = await startTestApp({
    settings: {
      OIDC_ISSUER: server.issuer.url,
      OIDC_CLIENT_ID: 'authgate',
      OIDC_CLIENT_SECRET: 'a-secret',
    },
  })
})
afterAll(async () => {
  await app.close()
  await server.stop()
})

const ada = { sub: 'ada', email: 'ada@mock.example.test', email_verified: true, name: 'Ada' }

/** Goes there and comes back; `distort` changes what the server signs, `answer` what it says. */
async function visit(
  browser: Browser,
  { distort, answer }: { distort?: object; answer?: Partial<MutableResponse> } = {},
) {
  const away = (await browser.get('/auth/login/oidc')).headers.get('location') ?? ''
  const back = await fetch(away, { redirect: 'manual' })
  const { pathname, search } = new URL(back.headers.get('location') ?? '')
  const claim = (token: MutableToken) => Object.assign(token.payload, ada, distort)
  const say = (response: MutableResponse) => Object.assign(response, answer)
  server.service.on('beforeTokenSigning', claim).on('beforeResponse', say)
  try {
    return await browser.get(`${pathname}${search}`)
  } finally {
    server.service.off('beforeTokenSigning', claim).off('beforeResponse', say)
  }
}

const counted = async (result: string) =>
  (await app.samples()).get(`auth_oauth_callback_total{provider="oidc",result="${result}"}`)

it('signs people in through oauth2-mock-server, the second time to the same account', async () => {
  for (const result of ['registered', 'success']) {
    const response = await visit(openBrowser(app))
    expect([response.status, response.headers.get('location')]).toEqual([303, '/account/devices'])
    expect(await counted(result)).toBe(1)
  }
})

it.each([
  ['of another issuer', { distort: { iss: 'https://elsewhere.example.test' } }, 'invalid_id_token'],
  ['for another client', { distort: { aud: 'somebody-else' } }, 'invalid_id_token'],
  ['of another visit', { distort: { nonce: 'of-another-visit' } }, 'invalid_id_token'],
  ['that has run out', { distort: { exp: 1 } }, 'invalid_id_token'],
  ['that never comes', { answer: { statusCode: 500, body: {} } }, 'exchange_failed'],
  [
    'that is missing',
    { answer: { body: { access_token: 'x', token_type: 'Bearer' } } },
    'invalid_id_token',
  ],
] as const)('lets nobody in by an ID token %s', async (_, lie, result) => {
  const browser = openBrowser(app)
  const { result: response, moved } = await observeUnchangedBut(() => visit(browser, lie))
  expect(response.status).toBe(502)
  expect(browser.cookies.has('oauth_session')).toBe(false)
  expect(moved[`auth_oauth_callback_total{provider="oidc",result="${result}"}`]).toBe(1)
  expect(moved['auth_login_total{auth_source="oidc",result="failure"}']).toBe(1)
  expect(moved['sessions_created_total']).toBeUndefined()
})

/** The state of the visit is used up, and that alone changes. */
async function observeUnchangedBut<T>(step: () => Promise<T>) {
  await app.database.db.delete(usedProofs)
  return observeUnchanged(app, async () => {
    const result = await step()
    await app.database.db.delete(usedProofs)
    return result
  })
}

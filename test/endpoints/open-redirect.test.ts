/** Nobody is sent to a place that only a client of strangers vouches for without deciding so (RFC 9700 §4.11.2). */
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { authorizePath, decide, parametersOf } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { observe } from './refusals.ts'

const open = {
  ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
  DYNAMIC_CLIENT_REGISTRATION_STATUS: 'active',
}
const callback = 'https://phish.example.test/callback'

let app: TestApp
let withToken: TestApp
beforeAll(async () => {
  app = await startTestApp({ settings: open })
  const settings = { ...open, DYNAMIC_CLIENT_REGISTRATION_TOKEN: 'initial-access-token' }
  withToken = await startTestApp({ settings, replicaOf: app })
})
afterAll(async () => {
  await withToken.close()
  await app.close()
})

async function register(): Promise<string> {
  const body = JSON.stringify({
    redirect_uris: [callback],
    token_endpoint_auth_method: 'none',
    scope: 'openid profile',
  })
  const headers = { 'content-type': 'application/json' }
  const response = await app.request('/oauth/register', { method: 'POST', body, headers })
  expect(response.status).toBe(201)
  return ((await response.json()) as { client_id: string }).client_id
}

const path = (clientId: string, more: Record<string, string | undefined> = {}) =>
  authorizePath(clientId, { scope: 'openid profile', redirect_uri: callback, ...more })

async function expectShown(response: Response, error: string): Promise<string> {
  const html = await response.text()
  expect([response.status, response.headers.get('location')]).toEqual([400, null])
  expect(response.headers.get('refresh')).toBeNull()
  expect(html).toContain('<strong>phish.example.test</strong>')
  expect(html).toContain(error)
  expect(html).not.toMatch(/<script>/)
  return html
}

const wrong: [what: string, more: Record<string, string | undefined>, error: string][] = [
  ['response_type', { response_type: 'bogus' }, 'unsupported_response_type'],
  ['scope', { scope: 'openid "' }, 'invalid_scope'],
  ['missing PKCE', { code_challenge: undefined }, 'invalid_request'],
  ['request object', { request: 'none' }, 'invalid_request_object'],
  ['prompt=none without a session', { prompt: 'none' }, 'login_required'],
]

describe('an error of a client that a stranger has registered', () => {
  it.each(wrong)('is shown, with where it leads: %s', async (_, more, error) => {
    const clientId = await register()
    const { result, moved } = await observe(app, () => openBrowser(app).get(path(clientId, more)))
    const html = await expectShown(result, error)
    const href = /<a [^>]*href="(https:\/\/phish[^"]*)"/.exec(html)?.[1]?.replaceAll('&amp;', '&')
    const { searchParams } = new URL(href ?? '')
    expect(Object.fromEntries(searchParams)).toMatchObject({ error, state: 'state-1' })
    expect(moved).toEqual({
      [`authgate_oauth_errors_total{endpoint="/oauth/authorize",error="${error}"}`]: 1,
    })
  })

  it('waits in a form for a press of its button where it is to be posted', async () => {
    const clientId = await register()
    const more = { response_type: 'bogus', response_mode: 'form_post' }
    const html = await expectShown(
      await openBrowser(app).get(path(clientId, more)),
      'unsupported_response_type',
    )
    expect(html).toContain(`<form method="post" action="${callback}"`)
    expect(html).toContain('Continue to phish.example.test')
  })

  it('is shown again when the page is loaded again', async () => {
    const clientId = await register()
    const browser = openBrowser(app)
    const stored = await browser.post(
      '/oauth/authorize',
      Object.fromEntries(new URL(path(clientId, { prompt: 'none' }), 'http://x').searchParams),
    )
    const address = stored.headers.get('location') ?? ''
    await expectShown(await browser.get(address), 'login_required')
    await expectShown(await browser.get(address), 'login_required')
  })

  it('is sent once its user has decided: by saying no, and after saying yes', async () => {
    const clientId = await register()
    const browser = openBrowser(app)
    await browser.signIn((await addUser(app.database.db)).username)
    await expectShown(await browser.get(path(clientId, { prompt: 'none' })), 'consent_required')
    const denied = await decide(browser, path(clientId), 'deny')
    expect(parametersOf(denied)).toMatchObject({ error: 'access_denied' })
    await decide(browser, path(clientId), 'approve')
    const silent = await browser.get(path(clientId, { prompt: 'none', max_age: '0' }))
    expect(parametersOf(silent)).toMatchObject({ error: 'login_required' })
  })
})

describe('an error is sent at once where somebody vouches for the client', () => {
  const bogus = (clientId: string, more = {}) => path(clientId, { response_type: 'bogus', ...more })
  const expectSent = async (at: TestApp, clientId: string) => {
    const response = await openBrowser(at).get(bogus(clientId))
    expect([response.status, parametersOf(response)]).toMatchObject([
      302,
      { error: 'unsupported_response_type' },
    ])
  }

  it('an administrator, who has approved it', async () => {
    const clientId = await register()
    await app.database.db
      .update(clients)
      .set({ approvedAt: app.now() })
      .where(eq(clients.clientId, clientId))
    await expectSent(withToken, clientId)
    app.advance(10_000)
    await expectSent(app, clientId)
  })

  it('an administrator, who has made it', async () => {
    const { client } = await addClient(app.database.db, { redirectUris: [callback] })
    await expectSent(app, client.clientId)
  })

  it('whoever gave it the token to register with', async () => {
    await expectSent(withToken, await register())
  })
})

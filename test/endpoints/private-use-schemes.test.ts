/** Native apps with schemes that nobody owns (RFC 8252 §7.1): who may register them, and the whole way back to the app. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { answerConsent, authorizePath, parametersOf, redeemCode } from '../support/flow.ts'
import { addAdmin, addUser } from '../support/people.ts'

let app: TestApp
let person: Browser
beforeAll(async () => {
  app = await startTestApp({
    settings: {
      ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
      DYNAMIC_CLIENT_REGISTRATION_STATUS: 'active',
      PRIVATE_USE_SCHEMES: 'cursor, vscode:',
    },
  })
  person = openBrowser(app)
  await person.signIn((await addUser(app.database.db)).username)
})
afterAll(() => app.close())

const cursor = 'cursor://anysphere.cursor/callback'
const native = {
  redirect_uris: [cursor],
  grant_types: ['authorization_code'],
  token_endpoint_auth_method: 'none',
}

interface Registered {
  readonly client_id: string
  readonly registration_access_token: string
  readonly application_type: string
  readonly error?: string
}

const send = async (path: string, method: string, body: object, token = '') => {
  const response = await app.request(path, {
    method,
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
  })
  return { status: response.status, body: (await response.json()) as Registered }
}
const register = (more: object = {}) => send('/oauth/register', 'POST', { ...native, ...more })

describe('a scheme without a dot', () => {
  it('that the operator allows leads a registered client through consent to its tokens', async () => {
    const { status, body } = await register()
    expect([status, body.application_type]).toEqual([201, 'native'])
    const page = await person.get(authorizePath(body.client_id, { redirect_uri: cursor }))
    expect(page.headers.get('content-security-policy')).toContain("form-action 'self' cursor:;")
    expect(await page.clone().text()).toContain('<strong class="host">cursor</strong>')
    const answer = await answerConsent(person, page, 'approve')
    expect([answer.status, answer.headers.get('location')]).toEqual([
      302,
      expect.stringMatching(/^cursor:\/\/anysphere\.cursor\/callback\?code=/),
    ])
    const code = parametersOf(answer)['code'] ?? ''
    const tokens = await redeemCode(app, body.client_id, code, { redirect_uri: cursor })
    expect(tokens.status).toBe(200)
  })

  it('is refused unless it is allowed, and to web clients always', async () => {
    for (const more of [
      { redirect_uris: ['cursorx://callback'] },
      { redirect_uris: ['zed:/callback'] },
      { redirect_uris: ['javascript:alert(1)'] },
      { application_type: 'web' },
    ]) {
      const { status, body } = await register(more)
      expect([status, body.error]).toEqual([400, 'invalid_redirect_uri'])
    }
  })

  it('may come with a change of the registration (RFC 7592), as allowed as with a new one', async () => {
    const { body } = await register()
    const change = (uri: string) =>
      send(
        `/oauth/register/${body.client_id}`,
        'PUT',
        { ...native, client_id: body.client_id, redirect_uris: [uri] },
        body.registration_access_token,
      )
    expect((await change('vscode://editor/callback')).status).toBe(200)
    expect((await change('zed://editor/callback')).body.error).toBe('invalid_redirect_uri')
  })

  it('may be that of a person’s app if it is allowed', async () => {
    const add = (redirect_uris: string) =>
      person.submit('/apps/new', '/apps', {
        client_name: 'My editor',
        redirect_uris,
        kind: 'native',
        scope: 'openid',
      })
    expect((await add(cursor)).status).toBe(200)
    expect((await add('zed://editor/callback')).status).toBe(400)
  })

  it('is an administrator’s to choose, unless browsers or systems use it themselves', async () => {
    const admin = openBrowser(app)
    await admin.signIn((await addAdmin(app.database.db)).username)
    const add = (redirect_uris: string) =>
      admin.submit('/admin/clients', '/admin/clients', {
        client_name: 'Editor',
        redirect_uris,
        token_endpoint_auth_method: 'none',
        grant_types: 'authorization_code',
        scope: 'openid',
        token_profile: 'standard',
        refresh_token_mode: 'rotating',
      })
    expect((await add('zed://editor/callback')).status).toBe(200)
    for (const uri of [
      'javascript:alert(1)',
      'data:text/html,x',
      'ws://app.example.test/',
      'intent://x',
    ])
      expect([(await add(uri)).status, uri]).toEqual([400, uri])
  })
})

/** Apps that users register themselves, from the form to the approval and back. */
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import type { NewClient } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { authorizePath, obtainTokens } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let admin: Browser
let owner: Browser
let ownerId: string
beforeAll(async () => {
  app = await startTestApp()
  admin = openBrowser(app)
  await admin.signIn((await addAdmin(app.database.db)).username)
  const user = await newOwner()
  owner = user.browser
  ownerId = user.id
})
afterAll(() => app.close())

async function newOwner() {
  const { id, username } = await addUser(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(username)
  return { id, browser }
}

const form = {
  client_name: 'My app',
  description: 'Keeps notes.',
  client_uri: 'https://notes.example.test/',
  redirect_uris: redirectUri,
  kind: 'web',
  scope: 'openid profile email offline_access',
}

let registered = 0

const register = (browser: Browser, fields: Record<string, string> = {}) => {
  registered += 1
  return browser.submit('/apps/new', '/apps', {
    ...form,
    client_name: `App ${registered}`,
    ...fields,
  })
}

const idIn = (html: string) => /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(html)?.[0] ?? ''

const rowOf = (clientId: string) =>
  app.database.db.query.clients.findFirst({ where: eq(clients.clientId, clientId) })

const addOwned = async (more: Partial<NewClient> = {}) =>
  (await addClient(app.database.db, { name: 'My app', ownerId, ...more })).client.clientId

/** Sends the form of the edit page as it stands, but for some fields. */
async function edit(clientId: string, fields: Record<string, string> = {}) {
  const page = await (await owner.get(`/apps/${clientId}/edit`)).text()
  return owner.post(`/apps/${clientId}`, {
    csrf_token: csrfTokenOf(page),
    seen: hiddenField(page, 'seen'),
    client_name: 'My app',
    redirect_uris: form.redirect_uris,
    scope: form.scope,
    ...fields,
  })
}

describe('a new app', () => {
  it('waits for approval, belongs to its user, and shows its secret once', async () => {
    const audited = await countAudit(app, 'CLIENT_REGISTERED')
    const { result, moved } = await observe(app, () => register(owner, { client_name: 'My app' }))
    const html = await result.text()
    expect([result.status, html.includes('Client secret')]).toEqual([200, true])
    const clientId = idIn(html)
    expect(await rowOf(clientId)).toMatchObject({
      name: 'My app',
      description: 'Keeps notes.',
      uri: 'https://notes.example.test/',
      status: 'pending',
      ownerId,
      type: 'confidential',
      tokenEndpointAuthMethod: 'client_secret_basic',
      grantTypes: ['authorization_code', 'refresh_token'],
    })
    expect(moved).toEqual({ 'authgate_oauth_clients_registered{status="pending"}': 1 })
    expect(await countAudit(app, 'CLIENT_REGISTERED')).toBe(audited + 1)
    const page = await (await owner.get(`/apps/${clientId}`)).text()
    expect(page).toContain('An administrator has to approve it')
    expect(page).not.toContain('Client secret')
    expect(await (await owner.get('/apps')).text()).toContain(clientId)
  })

  it.each([
    ['native', ['authorization_code', 'refresh_token']],
    ['device', ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token']],
  ])('of the kind %s is public', async (kind, grantTypes) => {
    const redirect_uris = kind === 'device' ? '' : 'com.example.app:/callback'
    const html = await (await register(owner, { kind, redirect_uris })).text()
    expect(html).not.toContain('Client secret')
    expect(await rowOf(idIn(html))).toMatchObject({ type: 'public', secretHash: null, grantTypes })
  })

  const wrong: [string, Record<string, string>][] = [
    ['no name', { client_name: ' ' }],
    ['a long name', { client_name: 'x'.repeat(101) }],
    ['a name that turns around', { client_name: 'knab \u202e' }],
    ['a long description', { description: 'x'.repeat(501) }],
    ['a description that turns around', { description: 'knab \u202e' }],
    ['a website of JavaScript', { client_uri: 'javascript:alert(1)' }],
    ['no kind', { kind: '' }],
    ['an unknown kind', { kind: 'constructor' }],
    ['no redirect URI', { redirect_uris: '' }],
    ['a redirect URI by http', { redirect_uris: 'http://app.example.test/' }],
    ['one wrong among right ones', { redirect_uris: 'https://a.test/\nhttps://b.test/#x' }],
    ['no scope', { scope: '' }],
    ['a scope of another API', { scope: 'openid reports:read' }],
  ]
  it.each(wrong)('with %s is refused: the form comes back', async (_, fields) => {
    const { result, moved } = await observeUnchanged(app, () => register(owner, fields))
    expect([result.status, moved]).toEqual([400, {}])
    expect(await result.text()).toMatch(/role="alert" id="form-problem">.*[.]</)
  })

  it('cannot give itself more than the form offers', async () => {
    const html = await (
      await register(owner, {
        grant_types: 'client_credentials',
        token_profile: 'long',
        status: 'active',
        extra_claims: 'true',
        ownerId: crypto.randomUUID(),
      })
    ).text()
    expect(await rowOf(idIn(html))).toMatchObject({
      grantTypes: ['authorization_code', 'refresh_token'],
      tokenProfile: 'standard',
      status: 'pending',
      extraClaims: false,
      ownerId,
    })
  })

  it('is the tenth that waits at most, however many are sent at once', async () => {
    const { id, browser } = await newOwner()
    const answers = await Promise.all(Array.from({ length: 14 }, () => register(browser)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10)
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(4)
    expect(await app.database.db.$count(clients, eq(clients.ownerId, id))).toBe(10)
  })

  it('can be used when an operator has approved it, and not before', async () => {
    const { browser } = await newOwner()
    const clientId = idIn(await (await register(browser, { kind: 'native' })).text())
    expect((await browser.get(authorizePath(clientId))).status).toBe(400)
    const list = await (await admin.get('/admin/clients')).text()
    const [, at = ''] = list.split(`/admin/clients/${clientId}/approve`)
    const decision = { csrf_token: csrfTokenOf(at), seen: hiddenField(at, 'seen') }
    await admin.post(`/admin/clients/${clientId}/approve`, decision)
    expect(await (await browser.get(`/apps/${clientId}`)).text()).toContain('Approved')
    expect((await obtainTokens(app, browser, clientId)).access_token).toBeTypeOf('string')
  })
})

describe('an approved app', () => {
  it('waits again when its redirect URI changes, and its tokens end', async () => {
    const clientId = await addOwned()
    await obtainTokens(app, owner, clientId)
    const { result, moved } = await observe(app, () =>
      edit(clientId, { redirect_uris: 'https://elsewhere.example.test/' }),
    )
    expect(result.headers.get('location')).toBe(`/apps/${clientId}?notice=returned`)
    expect(await rowOf(clientId)).toMatchObject({ status: 'pending' })
    expect(moved).toMatchObject({
      'authgate_client_decisions_total{decision="returned"}': 1,
      'oauth_tokens_revoked_total{reason="client_inactive",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="client_inactive",token_type="refresh"}': 1,
    })
    expect((await owner.get(authorizePath(clientId))).status).toBe(400)
  })

  it('stays approved when only its description changes', async () => {
    const clientId = await addOwned()
    const { result, moved } = await observe(app, () => edit(clientId, { description: 'New.' }))
    expect(result.headers.get('location')).toBe(`/apps/${clientId}?notice=updated`)
    expect(await rowOf(clientId)).toMatchObject({ status: 'active', description: 'New.' })
    expect(moved).toEqual({})
  })

  it('keeps the grants and scopes that an operator has added', async () => {
    const grantTypes = ['authorization_code', 'refresh_token', 'client_credentials']
    const clientId = await addOwned({
      type: 'confidential',
      grantTypes,
      scope: `reports:read ${form.scope}`,
    })
    await edit(clientId, { scope: 'openid' })
    expect(await rowOf(clientId)).toMatchObject({
      grantTypes,
      scope: 'reports:read openid',
      status: 'pending',
    })
  })

  it('is not overwritten by a form that shows an older version', async () => {
    const clientId = await addOwned()
    const { result } = await observeUnchanged(app, () => edit(clientId, { seen: 'x' }))
    expect(result.headers.get('location')).toBe(`/apps/${clientId}?notice=changed`)
  })

  it('is refused a wrong change, and shows the form again', async () => {
    const clientId = await addOwned()
    const { result } = await observeUnchanged(app, () => edit(clientId, { redirect_uris: 'x' }))
    expect(result.status).toBe(400)
  })

  it('gets a new secret, and the old one is gone', async () => {
    const clientId = await addOwned({ type: 'confidential' })
    const before = await rowOf(clientId)
    const answer = await owner.submit('/apps', `/apps/${clientId}/regenerate-secret`)
    expect(await answer.text()).toContain('Client secret')
    expect((await rowOf(clientId))?.secretHash).not.toBe(before?.secretHash)
  })

  it('is deleted with all that it was given', async () => {
    const clientId = await addOwned()
    await obtainTokens(app, owner, clientId)
    const { moved } = await observe(app, () => owner.submit('/apps', `/apps/${clientId}/delete`))
    expect(await rowOf(clientId)).toBeUndefined()
    expect(moved).toMatchObject({
      'oauth_consent_revoked_total{actor="user"}': 1,
      'oauth_tokens_revoked_total{reason="client_inactive",token_type="access"}': 1,
      'authgate_oauth_clients_registered{status="active"}': -1,
    })
  })
})

it('an app that was switched off is not edited into life', async () => {
  const clientId = await addOwned({ status: 'inactive' })
  await edit(clientId, { redirect_uris: 'https://elsewhere.example.test/' })
  expect(await rowOf(clientId)).toMatchObject({ status: 'inactive' })
})

describe("somebody else's app", () => {
  it.each(['', '/edit'])('GET /apps/:id%s is not there', async (rest) => {
    const { browser } = await newOwner()
    const clientId = await addOwned()
    for (const id of [clientId, crypto.randomUUID(), 'x', '%01', "'--"])
      expect((await browser.get(`/apps/${id}${rest}`)).status).toBe(404)
    expect((await owner.get(`/apps/${clientId}${rest}`)).status).toBe(200)
  })

  it.each(['', '/regenerate-secret', '/delete'])(
    'POST /apps/:id%s answers 404 and changes nothing, even to an operator',
    async (rest) => {
      const clientId = await addOwned({ type: 'confidential' })
      const page = await (await owner.get(`/apps/${clientId}/edit`)).text()
      const fields = { ...form, seen: hiddenField(page, 'seen') }
      for (const browser of [(await newOwner()).browser, admin])
        for (const id of [clientId, crypto.randomUUID(), clientId.toUpperCase(), '%01']) {
          const { result, moved } = await observeUnchanged(app, () =>
            browser.submit('/apps', `/apps/${id}${rest}`, fields),
          )
          expect([result.status, moved]).toEqual([404, {}])
        }
    },
  )

  it('is not listed', async () => {
    const clientId = await addOwned()
    expect(await (await (await newOwner()).browser.get('/apps')).text()).not.toContain(clientId)
  })
})

it('one user registers only so many apps a minute', async () => {
  const settings = { ENABLE_RATE_LIMIT: 'true', APP_RATE_LIMIT: '2' }
  const limited = await startTestApp({ settings, replicaOf: app })
  try {
    const { username } = await addUser(app.database.db)
    const browser = openBrowser(limited)
    await browser.signIn(username)
    const statuses = []
    for (let n = 0; n < 3; n += 1) statuses.push((await register(browser)).status)
    expect(statuses).toEqual([200, 200, 429])
  } finally {
    await limited.close()
  }
})

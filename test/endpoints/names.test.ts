/** Nobody is called like somebody else, or so that they can be taken for them, unless an operator says so. */
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { authorizePath } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let admin: Browser
let person: Browser
beforeAll(async () => {
  app = await startTestApp({ settings: { ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true' } })
  admin = openBrowser(app)
  await admin.signIn((await addAdmin(app.database.db)).username)
  person = openBrowser(app)
  await person.signIn((await addUser(app.database.db)).username)
  await addClient(app.database.db, { name: 'AuthGate CLI' })
})
afterAll(() => app.close())

const json = { 'content-type': 'application/json' }

const register = (client_name: string | undefined, redirect_uris = [redirectUri]) =>
  app.request('/oauth/register', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ client_name, redirect_uris }),
  })

interface Registered {
  client_id: string
  client_name: string
  registration_access_token: string
}

async function registered(client_name: string): Promise<Registered> {
  const response = await register(client_name)
  expect(response.status).toBe(201)
  return (await response.json()) as Registered
}

const put = ({ client_id, registration_access_token }: Registered, client_name: string) =>
  app.request(`/oauth/register/${client_id}`, {
    method: 'PUT',
    headers: { ...json, authorization: `Bearer ${registration_access_token}` },
    body: JSON.stringify({ client_id, client_name, redirect_uris: [redirectUri] }),
  })

const registerApp = (client_name: string) =>
  person.submit('/apps/new', '/apps', {
    client_name,
    redirect_uris: redirectUri,
    kind: 'web',
    scope: 'openid',
  })

const rowOf = (clientId: string) =>
  app.database.db.query.clients.findFirst({ where: eq(clients.clientId, clientId) })

const taken = 'client_name is the name of another client, or looks like it'

const impostors = [
  'AuthGate CLI',
  'authgate cli',
  'AuthGate-CLI',
  'AuthGate CLl',
  'АuthGate CLI',
  'ΑuthGаte СLΙ',
  'Ａｕｔｈ Ｇａｔｅ ＣＬＩ',
  'AuthGaté CLI',
]

describe('a client that registers itself', () => {
  it.each(impostors)('is refused the name of another: %s', async (name) => {
    const { result, moved } = await observeUnchanged(app, () => register(name))
    expect([result.status, await result.json()]).toEqual([
      400,
      { error: 'invalid_client_metadata', error_description: taken },
    ])
    expect(moved).toEqual({
      'authgate_client_registrations_total{result="rejected_metadata"}': 1,
      'authgate_oauth_errors_total{endpoint="/oauth/register",error="invalid_client_metadata"}': 1,
    })
  })

  it.each([
    ['zero-width characters', 'Auth\u200bGate'],
    ['a change of direction', '\u202eetaGhtuA'],
    ['blanks', '\u3164\u2800'],
    ['spaces', ' \u00a0 '],
    ['sixty marks', `A${'\u0301'.repeat(60)}`],
  ])('is refused a name of %s', async (_, name) => {
    const { result } = await observeUnchanged(app, () => register(name))
    expect([result.status, await result.json()]).toMatchObject([
      400,
      { error: 'invalid_client_metadata' },
    ])
  })

  it('cannot take the name of another later on, and keeps its own', async () => {
    const own = await registered('Field Notes')
    for (const name of impostors) expect((await put(own, name)).status).toBe(400)
    expect((await put(own, 'Field notes')).status).toBe(200)
    expect(await rowOf(own.client_id)).toMatchObject({ name: 'Field notes', status: 'pending' })
  })

  it('may keep a name that an operator gave to another one, too', async () => {
    const own = await registered('Twice')
    await addClient(app.database.db, { name: 'Twice' })
    expect((await put(own, 'TWICE')).status).toBe(200)
    expect((await register('Twice')).status).toBe(400)
  })

  it('is told what it is called, in the characters that its letters stand for', async () => {
    expect((await registered(' Ｆｉｅｌｄ\u00a0\u00a0Ｂｏｏｋ ')).client_name).toBe('Field Book')
  })

  it('may do without a name: many come from one address', async () => {
    const host = ['https://shared.example.test/a']
    expect((await register(undefined, host)).status).toBe(201)
    expect((await register(undefined, ['https://shared.example.test/b'])).status).toBe(201)
    expect((await register('shared.example.test')).status).toBe(400)
    const scheme = ['com.example.app://authgate/callback']
    for (const _ of [1, 2]) {
      const response = await register(undefined, scheme)
      expect(await response.json()).toMatchObject({ client_name: 'Unnamed client' })
    }
  })

  it('is one where several ask for one name at once', async () => {
    const names = ['Race', 'RACE', 'Rаce', 'R a c e', 'Racé']
    const { result, moved } = await observe(app, () => Promise.all(names.map((n) => register(n))))
    expect(result.map(({ status }) => status).sort()).toEqual([201, 400, 400, 400, 400])
    expect(moved).toMatchObject({
      'authgate_client_registrations_total{result="created"}': 1,
      'authgate_client_registrations_total{result="rejected_metadata"}': 4,
      'authgate_oauth_clients_registered{status="pending"}': 1,
    })
  })

  it('is compared with clients that a version before has made, too', async () => {
    const { client } = await addClient(app.database.db, { name: 'From before' })
    const forget = () =>
      app.database.db
        .update(clients)
        .set({ nameSkeleton: null })
        .where(eq(clients.clientId, client.clientId))
    await forget()
    expect((await register('From Bеfоre')).status).toBe(400)
    expect((await rowOf(client.clientId))?.nameSkeleton).toBeNull()
    expect((await register('Something else')).status).toBe(201)
    expect((await rowOf(client.clientId))?.nameSkeleton).toBe('frornbefore')
  })
})

describe('the app of a person', () => {
  it.each(impostors)('is refused the name of another: %s', async (name) => {
    const { result, moved } = await observeUnchanged(app, () => registerApp(name))
    expect([result.status, moved]).toEqual([400, {}])
    expect(await result.text()).toContain('The name is the name of another client, or looks like')
  })

  it('cannot take the name of another later on', async () => {
    const html = await (await registerApp('Garden')).text()
    const id = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(html)?.[0] ?? ''
    const page = await (await person.get(`/apps/${id}/edit`)).text()
    const change = (client_name: string) =>
      person.post(`/apps/${id}`, {
        csrf_token: csrfTokenOf(page),
        seen: hiddenField(page, 'seen'),
        client_name,
        redirect_uris: redirectUri,
        scope: 'openid',
      })
    expect((await change('АuthGate CLI')).status).toBe(400)
    expect((await change('Gardens')).status).toBe(303)
    expect((await rowOf(id))?.name).toBe('Gardens')
  })
})

describe('an administrator', () => {
  const fields = {
    redirect_uris: redirectUri,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: 'authorization_code',
    scope: 'openid',
    token_profile: 'standard',
    refresh_token_mode: 'rotating',
  }
  const add = (client_name: string) =>
    admin.submit('/admin/clients', '/admin/clients', { ...fields, client_name })

  it('may give a name twice, and is told so', async () => {
    const first = await (await add('Intranet')).text()
    expect(first).not.toContain('can be taken for')
    const second = await add('Intranеt')
    expect(second.status).toBe(200)
    const html = await second.text()
    expect(html).toContain('The name can be confused with another client: “Intranet”.')
    expect(html).toContain('letters from another alphabet that look like Latin ones')
  })

  it('is told so where a name that is given anew can be taken for another', async () => {
    const html = await (await add('Payroll')).text()
    const id = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(html)?.[0] ?? ''
    const rename = async (client_name: string) => {
      const page = await (await admin.get(`/admin/clients/${id}/edit`)).text()
      const seen = hiddenField(page, 'seen')
      const sent = { ...fields, client_name, csrf_token: csrfTokenOf(page), seen }
      return (await admin.post(`/admin/clients/${id}`, sent)).headers.get('location')
    }
    expect(await rename('Wages')).toBe('/admin/clients?notice=updated')
    const there = await rename('authgate cli')
    expect(there).toBe(`/admin/clients/${id}?notice=updated`)
    expect(await (await admin.get(there ?? '')).text()).toContain(
      'The name can be confused with another client: “AuthGate CLI”.',
    )
  })

  it('sees what is odd about the name of a client before approving it', async () => {
    const { client_id } = await registered('Shop Привет')
    await addClient(app.database.db, { name: 'Shop-Привет' })
    for (const path of ['/admin/clients', `/admin/clients/${client_id}`]) {
      const page = await (await admin.get(path)).text()
      expect(page).toContain('The name mixes letters from several alphabets')
      expect(page).toContain('The name can be confused with another client: “Shop-Привет”.')
    }
  })

  it('cannot give a name that deceives the eye', async () => {
    for (const name of ['Auth\u200bGate', '\u2800', `A${'\u0301'.repeat(60)}`])
      expect((await add(name)).status).toBe(400)
  })
})

describe('the page that asks for consent', () => {
  const askedBy = async (clientId: string) => (await person.get(authorizePath(clientId))).text()

  it('says when a client registered itself, and when it was approved', async () => {
    const { client_id } = await registered('History')
    const since = app.now()
    const page = await (await admin.get(`/admin/clients/${client_id}`)).text()
    const approved = await admin.post(`/admin/clients/${client_id}/approve`, {
      csrf_token: csrfTokenOf(page),
      seen: hiddenField(page, 'seen'),
    })
    expect(approved.headers.get('location')).toContain('notice=approved')
    expect((await rowOf(client_id))?.approvedAt?.getTime()).toBeGreaterThanOrEqual(since.getTime())
    const day = String.raw`\d{1,2} \w{3,4} \d{4}`
    expect(await askedBy(client_id)).toMatch(
      new RegExp(`This app registered itself on ${day}; an administrator approved it on ${day}\\.`),
    )
    await app.database.db
      .update(clients)
      .set({ approvedAt: null })
      .where(eq(clients.clientId, client_id))
    await expect
      .poll(() => askedBy(client_id), { timeout: 10_000 })
      .toMatch(new RegExp(`This app registered itself on ${day}; it has not been approved\\.`))
  })

  it('says nothing of the kind about what an operator has made', async () => {
    const { client } = await addClient(app.database.db, { redirectUris: [redirectUri] })
    const page = await askedBy(client.clientId)
    expect(page).toContain('wants to use your account')
    expect(page).not.toContain('registered')
  })
})

/** Who has to use PKCE (RFC 7636): clients that are new, and those of which an administrator asks it. */
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { authorizePath, parametersOf } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'

const registration = {
  ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
  DYNAMIC_CLIENT_REGISTRATION_STATUS: 'active',
  DYNAMIC_CLIENT_REGISTRATION_TOKEN: 'initial-access-token',
}

let app: TestApp
let lenient: TestApp
let admin: Browser
beforeAll(async () => {
  app = await startTestApp({ settings: registration })
  const settings = { ...registration, PKCE_REQUIRED_FOR_NEW_CLIENTS: 'false' }
  lenient = await startTestApp({ settings, replicaOf: app })
  admin = openBrowser(app)
  await admin.signIn((await addAdmin(app.database.db)).username)
})
afterAll(async () => {
  await lenient.close()
  await app.close()
})

const redirect_uris = redirectUri
const none = { code_challenge: undefined, code_challenge_method: undefined }
const plain = (clientId: string) => authorizePath(clientId, { scope: 'openid', ...none })

/** How many more requests were accepted and refused without it than before `step`. */
async function counting<T>(step: () => Promise<T>) {
  const before = await app.samples()
  const result = await step()
  const after = await app.samples()
  const more = (outcome: string) => {
    const series = `authgate_authorization_requests_without_pkce_total{result="${outcome}"}`
    return (after.get(series) ?? 0) - (before.get(series) ?? 0)
  }
  return { result, counted: { accepted: more('accepted'), refused: more('refused') } }
}

const [accepted, refused] = [
  { accepted: 1, refused: 0 },
  { accepted: 0, refused: 1 },
]

async function rowByName(name: string) {
  const [row] = await app.database.db.select().from(clients).where(eq(clients.name, name))
  if (!row) throw new Error(`there is no client ${name}`)
  return row
}

describe('a confidential client of which it is asked', () => {
  it('is refused without, at the authorization endpoint and when it pushes', async () => {
    const { client, secret = '' } = await addClient(app.database.db, {
      type: 'confidential',
      requirePkce: true,
    })
    const { clientId } = client
    const browsed = await counting(() => openBrowser(app).get(plain(clientId)))
    expect(parametersOf(browsed.result)).toMatchObject({ error: 'invalid_request' })
    expect(browsed.counted).toEqual(refused)
    const body = new URL(plain(clientId), 'http://none').searchParams
    body.set('client_secret', secret)
    const pushed = await counting(() => app.request('/oauth/par', { method: 'POST', body }))
    expect(pushed.result.status).toBe(400)
    expect(pushed.counted).toEqual(refused)
    const asked = await openBrowser(app).get(authorizePath(clientId, { scope: 'openid' }))
    expect(asked.status).toBe(303)
  })

  it('and one of which it is not asked is let through, and counted', async () => {
    const { clientId } = (await addClient(app.database.db, { type: 'confidential' })).client
    const { result, counted } = await counting(() => openBrowser(app).get(plain(clientId)))
    expect(result.status).toBe(303)
    expect(counted).toEqual(accepted)
  })
})

describe.each([
  ['by default', () => app, true],
  ['not where the operator wants it so', () => lenient, false],
])('new clients have to use it: %s', (_, at, required) => {
  const name = (kind: string) => `${kind} ${required}`

  it('made by an administrator', async () => {
    const browser = openBrowser(at())
    await browser.signIn((await addAdmin(app.database.db)).username)
    const page = await (await browser.get('/admin/clients')).text()
    const box = /<input[^>]*name="require_pkce"[^>]*>/.exec(page)?.[0] ?? ''
    expect(box.includes('checked')).toBe(required)
  })

  it('made by a user', async () => {
    const browser = openBrowser(at())
    await browser.signIn((await addUser(app.database.db)).username)
    const fields = { kind: 'web', client_name: name('Own'), redirect_uris, scope: 'openid' }
    await browser.submit('/apps/new', '/apps', fields)
    expect((await rowByName(name('Own'))).requirePkce).toBe(required)
  })

  it('made by themselves', async () => {
    const body = JSON.stringify({ client_name: name('Self'), redirect_uris: [redirect_uris] })
    const headers = {
      'content-type': 'application/json',
      authorization: 'Bearer initial-access-token',
    }
    const response = await at().request('/oauth/register', { method: 'POST', body, headers })
    expect(response.status).toBe(201)
    expect((await rowByName(name('Self'))).requirePkce).toBe(required)
  })
})

it('an administrator switches it on and off for a client', async () => {
  const { clientId } = (await addClient(app.database.db, { type: 'confidential' })).client
  const save = async (more: Record<string, string>) => {
    const page = await (await admin.get(`/admin/clients/${clientId}/edit`)).text()
    await admin.post(`/admin/clients/${clientId}`, {
      csrf_token: csrfTokenOf(page),
      seen: hiddenField(page, 'seen'),
      client_name: 'Switched',
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: 'authorization_code',
      redirect_uris,
      scope: 'openid profile',
      ...more,
    })
    return (await rowByName('Switched')).requirePkce
  }
  expect(await save({ require_pkce: 'true' })).toBe(true)
  expect(await save({})).toBe(false)
  expect((await openBrowser(app).get(plain(clientId))).status).toBe(303)
})

/** Off means off, in discovery, forms and answers: a row for each setting that switches something off. */
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { settings } from '#/config/config.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { clients } from '#/database/schema/clients.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { answerDevice, authorizePath, obtainTokens, postToken } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

/** A replica with these settings, for one step. */
async function withSettings<T>(
  settings: Record<string, string>,
  step: (off: TestApp) => Promise<T>,
): Promise<T> {
  const off = await startTestApp({ replicaOf: app, settings })
  try {
    return await step(off)
  } finally {
    await off.close()
  }
}

const discovery = async (off: TestApp, name = 'openid-configuration') =>
  (await (await off.request(`/.well-known/${name}`)).json()) as Record<string, unknown>

async function signedIn(off: TestApp, add: typeof addUser = addUser) {
  const browser = openBrowser(off)
  expect((await browser.signIn((await add(app.database.db)).username)).status).toBe(303)
  return browser
}

const textOf = async (answer: Promise<Response>) => (await answer).text()

const register = async (off: TestApp, metadata: object) =>
  off.request('/oauth/register', {
    method: 'POST',
    body: JSON.stringify(metadata),
    headers: { 'content-type': 'application/json' },
  })

const provider = (name: string) => async (off: TestApp) => {
  expect(await textOf(off.request('/login'))).not.toContain(`/auth/login/${name}`)
  expect((await off.request(`/auth/login/${name}`)).status).toBe(404)
}

const providerSettings = (name: string) => ({
  [`${name}_CLIENT_ID`]: 'x',
  [`${name}_CLIENT_SECRET`]: 'x',
})

interface Off {
  /** Beside the one that is off, so that it would be on. */
  readonly settings?: Record<string, string>
  readonly isOff: (off: TestApp) => Promise<void>
}

const rows: Readonly<Record<string, Off>> = {
  CORS_ENABLED: {
    async isOff(off) {
      const headers = { origin: 'https://app.example.test' }
      const answer = await off.request('/.well-known/openid-configuration', { headers })
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    },
  },
  SESSION_REMEMBER_ME_ENABLED: {
    async isOff(off) {
      expect(await textOf(off.request('/login'))).not.toContain('remember_me')
      const { username } = await addUser(app.database.db)
      const signed = await openBrowser(off).signIn(username, { remember_me: '1' })
      const session = signed.headers.getSetCookie().filter((line) => /session=/.test(line))
      expect(session.join()).not.toMatch(/max-age=[1-9]/i)
    },
  },
  ENABLE_REFRESH_TOKENS: {
    async isOff(off) {
      for (const name of ['openid-configuration', 'oauth-authorization-server']) {
        const metadata = await discovery(off, name)
        expect(metadata['grant_types_supported']).not.toContain('refresh_token')
        expect(metadata['scopes_supported']).not.toContain('offline_access')
      }
    },
  },
  ENABLE_TOKEN_ROTATION: {
    async isOff(off) {
      const page = await (await signedIn(off, addAdmin)).get('/admin/clients')
      expect(await page.text()).not.toContain('name="refresh_token_mode"')
    },
  },
  ENABLE_DYNAMIC_CLIENT_REGISTRATION: {
    async isOff(off) {
      expect(await discovery(off)).not.toHaveProperty('registration_endpoint')
      const answer = await register(off, { redirect_uris: ['https://app.example.test/'] })
      expect(await answer.json()).toMatchObject({ error: 'registration_not_supported' })
    },
  },
  GITHUB_OAUTH_ENABLED: { settings: providerSettings('GITHUB'), isOff: provider('github') },
  GITEA_OAUTH_ENABLED: {
    settings: { ...providerSettings('GITEA'), GITEA_URL: 'https://gitea.example.test' },
    isOff: provider('gitea'),
  },
  GITLAB_OAUTH_ENABLED: { settings: providerSettings('GITLAB'), isOff: provider('gitlab') },
  MICROSOFT_OAUTH_ENABLED: {
    settings: providerSettings('MICROSOFT'),
    isOff: provider('microsoft'),
  },
  OIDC_OAUTH_ENABLED: {
    settings: { ...providerSettings('OIDC'), OIDC_ISSUER: 'https://oidc.example.test' },
    isOff: provider('oidc'),
  },
  ENABLE_RATE_LIMIT: {
    settings: { LOGIN_RATE_LIMIT: '1', AUTHORIZE_RATE_LIMIT: '1', REQUEST_CEILING: '1' },
    async isOff(off) {
      for (let n = 0; n < 5; n += 1)
        expect((await off.request('/oauth/authorize')).status).toBe(400)
    },
  },
  METRICS_ENABLED: {
    async isOff(off) {
      await off.request('/login')
      expect((await off.samples()).size).toBe(0)
    },
  },
  ENABLE_AUDIT_LOGGING: {
    async isOff(off) {
      const count = () => app.database.db.$count(auditEvents)
      const before = await count()
      const admin = await addAdmin(app.database.db)
      const made = await count()
      const browser = openBrowser(off)
      await browser.signIn(admin.username)
      expect(await textOf(browser.get('/admin/audit'))).toContain('Audit logging is off')
      await browser.signOut()
      expect(await count()).toBe(made)
      expect(made).toBeGreaterThan(before)
    },
  },
}

it('has a row for each setting that switches something off', () => {
  const names = Object.keys(settings).filter((name) => /^ENABLE_|_ENABLED$/.test(name))
  expect(Object.keys(rows).sort()).toEqual(names.sort())
})

it.each(Object.entries(rows))('%s=false is off', async (name, { settings: more, isOff }) => {
  await withSettings({ ...more, [name]: 'false' }, isOff)
})

describe('ENABLE_REFRESH_TOKENS=false', () => {
  let off: TestApp
  beforeAll(async () => {
    const settings = {
      ENABLE_REFRESH_TOKENS: 'false',
      ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
      DYNAMIC_CLIENT_REGISTRATION_STATUS: 'active',
    }
    off = await startTestApp({ replicaOf: app, settings })
  })
  afterAll(() => off.close())

  it('refuses refresh tokens of before, which work again when it is back', async () => {
    const { client } = await addClient(app.database.db)
    const { refresh_token } = await obtainTokens(app, await signedIn(app), client.clientId)
    const refresh = { grant_type: 'refresh_token', client_id: client.clientId, refresh_token }
    const refused = await postToken(off, refresh)
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: 'unsupported_grant_type' })
    expect((await postToken(app, refresh)).status).toBe(200)
  })

  it('begins no family, ignores offline_access and does not show it', async () => {
    const { clientId } = (await addClient(app.database.db)).client
    const browser = await signedIn(off)
    const page = await textOf(browser.get(authorizePath(clientId)))
    expect(page).not.toContain('Stay connected')
    const issued = await obtainTokens(off, browser, clientId)
    expect(issued.scope).toBe('openid profile email')
    expect(issued).not.toHaveProperty('refresh_token')
    const stored = await app.database.db.select().from(tokens).where(eq(tokens.clientId, clientId))
    expect(stored.map(({ type }) => type)).toEqual(['access'])
  })

  it('says so to a plain request for nothing else', async () => {
    const { clientId } = (await addClient(app.database.db)).client
    const path = authorizePath(clientId, { scope: 'offline_access' })
    const location = (await (await signedIn(off)).get(path)).headers.get('location') ?? ''
    expect(new URL(location).searchParams.get('error')).toBe('invalid_scope')
  })

  it('gives devices none', async () => {
    const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
    const { clientId } = (
      await addClient(app.database.db, { grantTypes: [grant_type, 'refresh_token'] })
    ).client
    const form = { client_id: clientId, scope: 'openid offline_access' }
    const asked = await off.request('/oauth/device/code', {
      method: 'POST',
      body: new URLSearchParams(form),
    })
    const { device_code, user_code } = (await asked.json()) as Record<string, string>
    await answerDevice(await signedIn(off), user_code ?? '', 'approve')
    const poll = { grant_type, client_id: clientId, device_code: device_code ?? '' }
    const issued = await (await postToken(off, poll)).json()
    expect(issued).toMatchObject({ scope: 'openid' })
    expect(issued).not.toHaveProperty('refresh_token')
  })

  it('registers clients without it, and says so', async () => {
    const answer = await register(off, {
      redirect_uris: ['https://app.example.test/'],
      grant_types: ['authorization_code', 'refresh_token'],
      scope: 'openid offline_access',
    })
    expect(answer.status).toBe(201)
    const expected = { grant_types: ['authorization_code'], scope: 'openid' }
    expect(await answer.json()).toMatchObject(expected)
    const nothing = await register(off, { grant_types: ['refresh_token'] })
    expect(await nothing.json()).toMatchObject({ error: 'invalid_client_metadata' })
  })

  it.each([
    ['administrators', '/admin/clients'],
    ['owners of apps', '/apps/new'],
  ])('is not in the form of %s', async (_, path) => {
    const page = await textOf((await signedIn(off, addAdmin)).get(path))
    expect(page).not.toMatch(/value="(refresh_token|offline_access)"/)
    expect(page).not.toContain('name="refresh_token_mode"')
  })

  it('is kept by the form of a client that has it', async () => {
    const { client } = await addClient(app.database.db, {
      type: 'confidential',
      refreshTokenMode: 'fixed',
    })
    const browser = await signedIn(off, addAdmin)
    const edit = `/admin/clients/${client.clientId}/edit`
    const page = await textOf(browser.get(edit))
    expect(page).toMatch(/value="refresh_token" checked|checked[^>]*value="refresh_token"/)
    const fields = editFields(page)
    const answer = await browser.post(`/admin/clients/${client.clientId}`, fields)
    expect(answer.status).toBe(303)
    const [after] = await app.database.db
      .select()
      .from(clients)
      .where(eq(clients.clientId, client.clientId))
    expect(after?.refreshTokenMode).toBe('fixed')
  })

  it('gives an app of a user none, although its kind has it', async () => {
    const browser = await signedIn(off)
    const name = `App ${crypto.randomUUID().slice(0, 8)}`
    const sent = await browser.submit('/apps/new', '/apps', {
      client_name: name,
      kind: 'web',
      redirect_uris: 'https://app.example.test/',
      scope: 'openid',
    })
    expect(sent.status).toBe(200)
    const [made] = await app.database.db.select().from(clients).where(eq(clients.name, name))
    expect(made?.grantTypes).toEqual(['authorization_code'])
  })
})

/** What a browser would send of a page that shows no choice of how refresh tokens are used. */
const editFields = (page: string): Record<string, string> => ({
  csrf_token: /name="csrf_token" value="([^"]+)"/.exec(page)?.[1] ?? '',
  seen: /name="seen" value="([^"]+)"/.exec(page)?.[1] ?? '',
  client_name: 'Renamed app',
  token_endpoint_auth_method: 'client_secret_basic',
  redirect_uris: redirectUri,
  grant_types: 'authorization_code refresh_token',
  scope: 'openid profile email offline_access',
})

/** Who may do what: every route is in the table below, or the first test fails. */
import { and, eq, isNull } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApp } from '#/app.ts'
import { createCaches } from '#/boot/caches.ts'
import { sessionSecrets } from '#/boot/session-secrets.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { identities } from '#/database/schema/identities.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { findClient, versionOf } from '#/domain/clients/clients.ts'
import { createEntityCounts } from '#/domain/entity-counts/caches.ts'
import { userVersion } from '#/domain/users/edit-user.ts'
import { findUser } from '#/domain/users/users.ts'
import { createLog } from '#/telemetry/log.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, openBrowser } from '../support/browser.ts'
import { obtainTokens } from '../support/flow.ts'
import { addAdmin, addClient, addUser, testPassword } from '../support/people.ts'
import { countAudit, observeAllUnchanged, observeUnchanged, stateOf } from './refusals.ts'

let app: TestApp
let admin: Person
let user: Person
let other: Person
beforeAll(async () => {
  app = await startTestApp()
  admin = await person(true)
  user = await person()
  other = await person()
})
afterAll(() => app.close())

interface Person {
  readonly id: string
  readonly username: string
  readonly browser: Browser
}

async function person(isAdmin = false): Promise<Person> {
  const db = app.database.db
  const { id, username } = await (isAdmin ? addAdmin(db) : addUser(db))
  const browser = openBrowser(app)
  await browser.signIn(username)
  return { id, username, browser }
}

/** `self`: anyone may come here; the endpoint decides by itself, and its own test says how. */
type Guard = 'self' | 'user' | 'admin'

const guards: Readonly<Record<string, Guard>> = {
  'GET /': 'self',
  'GET /livez': 'self',
  'GET /readyz': 'self',
  'GET /health': 'self',
  'GET /.well-known/openid-configuration': 'self',
  'GET /.well-known/oauth-authorization-server': 'self',
  'GET /.well-known/jwks.json': 'self',
  'GET /.well-known/security.txt': 'self',
  'GET /login': 'self',
  'POST /login': 'self',
  'POST /logout': 'self',
  'GET /auth/login/:provider': 'self',
  'GET /auth/callback/:provider': 'self',
  'GET /oauth/authorize': 'self',
  'POST /oauth/authorize': 'self',
  'POST /oauth/par': 'self',
  'POST /oauth/token': 'self',
  'GET /oauth/userinfo': 'self',
  'POST /oauth/userinfo': 'self',
  'GET /oauth/logout': 'self',
  'GET /oauth/tokeninfo': 'self',
  'POST /oauth/introspect': 'self',
  'POST /oauth/revoke': 'self',
  'POST /oauth/device/code': 'self',
  'GET /device': 'user',
  // They lead a stranger back to the page with the code, which then asks to sign in: see device.test.ts.
  'POST /device/verify': 'self',
  'POST /device/decide': 'self',
  'POST /oauth/logout': 'self',
  'POST /oauth/logout/answer': 'self',
  'POST /oauth/register': 'self',
  'GET /oauth/register/:clientId': 'self',
  'PUT /oauth/register/:clientId': 'self',
  'DELETE /oauth/register/:clientId': 'self',
  'GET /account/sessions': 'self',
  'GET /account/devices': 'user',
  'POST /account/devices/revoke-others': 'user',
  'POST /account/devices/:id/revoke': 'user',
  'GET /account/authorizations': 'user',
  'POST /account/authorizations/:id/revoke': 'user',
  'GET /account/tokens': 'user',
  'POST /account/tokens/revoke-all': 'user',
  'POST /account/tokens/:id/revoke': 'user',
  'GET /account/password': 'user',
  'POST /account/password': 'user',
  'GET /account/security': 'user',
  'POST /account/security/password': 'user',
  'POST /account/security/links/:provider': 'user',
  'POST /account/security/links/:id/remove': 'user',
  'GET /apps': 'user',
  'GET /apps/new': 'user',
  'POST /apps': 'user',
  'GET /apps/:id': 'user',
  'GET /apps/:id/edit': 'user',
  'POST /apps/:id': 'user',
  'POST /apps/:id/regenerate-secret': 'user',
  'POST /apps/:id/delete': 'user',
  'GET /admin': 'admin',
  'GET /admin/tokens': 'admin',
  'POST /admin/tokens/:id/revoke': 'admin',
  'GET /admin/users': 'admin',
  'POST /admin/users': 'admin',
  'GET /admin/users/:id': 'admin',
  'GET /admin/users/:id/edit': 'admin',
  'POST /admin/users/:id': 'admin',
  'POST /admin/users/:id/sessions/revoke-all': 'admin',
  'POST /admin/users/:id/sessions/:sessionId/revoke': 'admin',
  'POST /admin/users/:id/authorizations/:consentId/revoke': 'admin',
  'POST /admin/users/:id/tokens/:familyId/revoke': 'admin',
  'POST /admin/users/:id/connections/:identityId/remove': 'admin',
  'POST /admin/users/:id/disable': 'admin',
  'POST /admin/users/:id/enable': 'admin',
  'POST /admin/users/:id/delete': 'admin',
  'POST /admin/users/:id/reset-password': 'admin',
  'GET /admin/clients': 'admin',
  'GET /admin/clients/:id': 'admin',
  'GET /admin/clients/:id/authorizations': 'admin',
  'POST /admin/clients/:id/authorizations/:consentId/revoke': 'admin',
  'POST /admin/clients': 'admin',
  'GET /admin/clients/:id/edit': 'admin',
  'POST /admin/clients/:id': 'admin',
  'POST /admin/clients/:id/approve': 'admin',
  'POST /admin/clients/:id/reject': 'admin',
  'POST /admin/clients/:id/enable': 'admin',
  'POST /admin/clients/:id/disable': 'admin',
  'POST /admin/clients/:id/delete': 'admin',
  'POST /admin/clients/:id/revoke-all': 'admin',
  'POST /admin/clients/:id/regenerate-secret': 'admin',
  'GET /admin/audit': 'admin',
  'GET /admin/audit/export': 'admin',
  'GET /admin/audit/api': 'admin',
  'GET /admin/audit/api/stats': 'admin',
}

const routes = Object.entries(guards).map(([route, guard]) => {
  const [method = '', path = ''] = route.split(' ')
  return { route, method, path, guard }
})
const guarded = routes.filter(({ guard }) => guard !== 'self')
const forms = guarded.filter(({ method }) => method === 'POST')

/** An object of the given person that the route could be about. */
async function objectOf(path: string, owner: Person): Promise<string> {
  const db = app.database.db
  if (path.startsWith('/account/devices')) {
    const live = and(eq(sessions.userId, owner.id), isNull(sessions.endedAt))
    return (await db.select().from(sessions).where(live)).at(-1)?.id ?? ''
  }
  if (path.startsWith('/account/security/links')) {
    const at = new Date()
    const linked = { source: 'github', issuer: 'https://github.com', label: 'ada' } as const
    const times = { createdAt: at, lastUsedAt: at }
    const subject = crypto.randomUUID()
    const row = { userId: owner.id, subject, ...linked, ...times }
    return (await db.insert(identities).values(row).returning())[0]?.id ?? ''
  }
  if (path.startsWith('/account/authorizations')) {
    const { client } = await addClient(db)
    await obtainTokens(app, owner.browser, client.clientId)
    const rows = await db.select().from(consents).where(eq(consents.clientId, client.clientId))
    return rows[0]?.id ?? ''
  }
  if (/^\/(account|admin)\/tokens/.test(path)) return familyOf(owner)
  if (path.startsWith('/apps')) {
    const owned = { type: 'confidential', ownerId: owner.id } as const
    return (await addClient(db, owned)).client.clientId
  }
  if (path.startsWith('/admin/clients')) {
    const status = /(approve|reject)$/.test(path) ? 'pending' : 'active'
    return (await addClient(db, { type: 'confidential', status })).client.clientId
  }
  return owner.id
}

/** What an operator takes from a person is found as the person would find it. */
const holdings: Readonly<Record<string, string>> = {
  ':sessionId': '/account/devices',
  ':consentId': '/account/authorizations',
  ':identityId': '/account/security/links',
}

async function addressOf(path: string, owner: Person): Promise<string> {
  if (path.startsWith('/admin/clients/:id/authorizations/:consentId')) {
    const id = await objectOf('/account/authorizations', owner)
    const [row] = await app.database.db.select().from(consents).where(eq(consents.id, id))
    return path.replace(':id', row?.clientId ?? '').replace(':consentId', id)
  }
  let address = path.includes(':id') ? path.replace(':id', await objectOf(path, owner)) : path
  for (const [parameter, folder] of Object.entries(holdings))
    if (address.includes(parameter))
      address = address.replace(parameter, await objectOf(folder, owner))
  return address.includes(':familyId')
    ? address.replace(':familyId', await familyOf(owner))
    : address
}

/** Live tokens of the person, by their family. */
async function familyOf(owner: Person): Promise<string> {
  const { client } = await addClient(app.database.db)
  await obtainTokens(app, owner.browser, client.clientId)
  const rows = await app.database.db.query.tokens.findMany()
  return rows.find(({ clientId }) => clientId === client.clientId)?.familyId ?? ''
}

/** A page of the person's with the CSRF token of that browser and session. */
const tokenOf = async ({ browser }: Person) =>
  csrfTokenOf(await (await browser.get('/account/devices')).text())

/** A form that would be taken, were it not for who sends it. */
const filled = () => ({
  username: `new-${crypto.randomUUID().slice(0, 8)}`,
  email: `${crypto.randomUUID()}@example.test`,
  client_name: 'New client',
  kind: 'web',
  token_endpoint_auth_method: 'client_secret_basic',
  grant_types: 'authorization_code refresh_token',
  redirect_uris: 'https://new.example.test/callback',
  scope: 'openid',
  current_password: testPassword,
  new_password: 'a brand new password',
  new_password_again: 'a brand new password',
})

/** The same for a form whose page shows a client: whoever decides says which version they have seen. */
async function filledFor(address: string): Promise<Record<string, string>> {
  const id = /\/(?:clients|apps)\/([0-9a-f-]{36})(?:\/|$)/.exec(address)?.[1] ?? ''
  const client = await findClient(app.database.db, id)
  const userId = /\/admin\/users\/([0-9a-f-]{36})$/.exec(address)?.[1]
  const account = userId === undefined ? undefined : await findUser(app.database.db, userId)
  return {
    ...filled(),
    ...(client && { seen: versionOf(client) }),
    ...(account && { seen: userVersion(account), role: account.role }),
  }
}

describe('the table of routes', () => {
  it('lists every route of the app, so that none can be forgotten', async () => {
    const { config, database, recorder } = app
    const secrets = sessionSecrets(config)
    const caches = await createCaches(database, {
      recorder,
      secrets,
      ttlMs: 0,
      algorithm: config.tokens.signingAlgorithm,
      clock: app.now,
    })
    const whole = createApp({
      config,
      secrets,
      db: database.db,
      recorder,
      log: createLog({ level: 'silent' }),
      repeatedEvents: app.repeatedEvents,
      ...caches,
      entityCounts: createEntityCounts(database.populationDb, {
        recorder,
        clock: app.now,
        ttlMs: 0,
        loadTimeoutMs: 5000,
      }),
      redis: undefined,
      fetchDocument: () => Promise.reject(new Error('nobody is asked here')),
      clock: app.now,
      ready: database.ready,
      draining: () => false,
    })
    const mounted = whole.routes
      .filter(({ method, path }) => method !== 'ALL' && !path.startsWith('/assets/'))
      .map(({ method, path }) => `${method} ${path}`)
    expect([...new Set(mounted)].sort()).toEqual(Object.keys(guards).sort())
    // What answers every method must be middleware: a handler would hide from the table.
    const middleware = whole.routes.filter(({ method }) => method === 'ALL').map(({ path }) => path)
    expect([...new Set(middleware)].sort()).toEqual([
      '/*',
      '/.well-known/*',
      '/auth/*',
      '/auth/callback/*',
      '/oauth/*',
      '/oauth/authorize',
      '/oauth/device/code',
      '/oauth/introspect',
      '/oauth/logout',
      '/oauth/par',
      '/oauth/register',
      '/oauth/register/*',
      '/oauth/revoke',
      '/oauth/token',
      '/oauth/tokeninfo',
      '/oauth/userinfo',
    ])
    // The tests below send forms.
    expect(guarded.filter(({ method }) => method !== 'GET' && method !== 'POST')).toEqual([])
  })
})

describe('a stranger', () => {
  it.each(guarded)(
    '$route leads to the sign-in page and changes nothing',
    async ({ method, path }) => {
      const stranger = openBrowser(app)
      const csrf_token = csrfTokenOf(await (await stranger.get('/login')).text())
      const address = await addressOf(path, user)
      const fields = await filledFor(address)
      const { result, moved } = await observeUnchanged(app, () =>
        method === 'GET'
          ? stranger.get(`${address}?page=2`)
          : stranger.post(address, { csrf_token, ...fields }),
      )
      const back = new URLSearchParams({ redirect: `${address}?page=2` })
      expect([result.status, result.headers.get('location')]).toEqual([
        303,
        method === 'GET' ? `/login?${back}` : '/login',
      ])
      expect(moved).toEqual({})
    },
  )

  it.each(guarded)('$route takes a made-up session cookie for none', async ({ method, path }) => {
    const address = await addressOf(path, user)
    const fields = await filledFor(address)
    const cookies = ['x', 'Fe26.2*1*a*b*c*d*e*f~2', user.id, `${'x'.repeat(5000)}`]
    const { result, moved } = await observeAllUnchanged(app, cookies, (cookie) => {
      const forger = openBrowser(app, { cookies: new Map([['oauth_session', cookie]]) })
      return method === 'GET' ? forger.get(address) : forger.post(address, fields)
    })
    for (const { status, headers } of result) {
      expect(status).toBe(303)
      expect(headers.get('location')).toMatch(/^\/login/)
    }
    expect(moved).toEqual({})
  })
})

describe('a user who is no administrator', () => {
  const admins = guarded.filter(({ guard }) => guard === 'admin')
  it.each(admins)('$route is refused with 403 and changes nothing', async ({ method, path }) => {
    const address = await addressOf(path, other)
    const csrf_token = await tokenOf(user)
    const fields = await filledFor(address)
    const events = await countAudit(app, 'USER_CREATED')
    const { result, moved } = await observeUnchanged(app, () =>
      method === 'GET'
        ? user.browser.get(address)
        : user.browser.post(address, { csrf_token, ...fields }),
    )
    expect([result.status, result.headers.get('location')]).toEqual([403, null])
    expect(moved).toEqual({})
    expect(await countAudit(app, 'USER_CREATED')).toBe(events)
  })
})

describe('a form that the person did not send', () => {
  it.each(forms)(
    '$route is refused without the token of this browser and session',
    async ({ path, guard }) => {
      const sender = guard === 'admin' ? admin : user
      const own = await tokenOf(sender)
      const foreign = await tokenOf(other)
      const address = await addressOf(path, sender)
      const beforeSignIn = csrfTokenOf(
        await (await openBrowser(app, { cookies: csrfCookieOf(sender) }).get('/login')).text(),
      )
      const tokens = {
        none: '',
        'made up': 'x'.repeat(43),
        foreign,
        cut: own.slice(1),
        beforeSignIn,
      }
      const fields = await filledFor(address)
      const { result, moved } = await observeAllUnchanged(
        app,
        Object.entries(tokens),
        async ([what, csrf_token]) => {
          const { status, headers } = await sender.browser.post(address, { csrf_token, ...fields })
          return [what, status, headers.get('location')]
        },
      )
      expect(result).toEqual(Object.keys(tokens).map((what) => [what, 403, null]))
      expect(moved).toEqual({})
    },
  )

  it.each(forms)(
    '$route is refused when the browser says that another site sent it, or in another type',
    async ({ path, guard }) => {
      const sender = guard === 'admin' ? admin : user
      const address = await addressOf(path, sender)
      const fields = { csrf_token: await tokenOf(sender), ...(await filledFor(address)) }
      const form = 'application/x-www-form-urlencoded'
      const sent: [Record<string, string>, string, number][] = [
        [
          { 'content-type': form, 'sec-fetch-site': 'cross-site' },
          new URLSearchParams(fields).toString(),
          403,
        ],
        [{ 'content-type': 'application/json' }, JSON.stringify(fields), 400],
        [{ 'content-type': 'text/plain' }, new URLSearchParams(fields).toString(), 400],
      ]
      const { result, moved } = await observeAllUnchanged(app, sent, async ([headers, body]) => {
        const all = { ...headers, ...asBrowser(sender) }
        const answer = await app.request(address, { method: 'POST', body, headers: all })
        return [answer.status, answer.headers.get('location')]
      })
      expect(result).toEqual(sent.map(([, , status]) => [status, null]))
      expect(moved).toEqual({})
    },
  )

  it.each(forms)(
    '$route answers no GET: a link or picture can do nothing',
    async ({ path, guard }) => {
      const sender = guard === 'admin' ? admin : user
      // These pages share their address with a form.
      if (`GET ${path}` in guards) return
      const address = await addressOf(path, sender)
      const { result } = await observeUnchanged(app, () => sender.browser.get(address))
      expect([result.status, result.headers.get('allow')]).toEqual([405, 'POST'])
    },
  )
})

const csrfCookieOf = ({ browser }: Person) =>
  new Map([['oauth_csrf', browser.cookies.get('oauth_csrf') ?? '']])

const asBrowser = ({ browser }: Person) => ({
  cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
})

describe('a page', () => {
  const pages = routes.filter(
    ({ method, path }) => method === 'GET' && !/^\/(oauth|auth)\//.test(path),
  )
  it.each(pages)('$route says nothing that its address made up', async ({ path, guard }) => {
    const sender = guard === 'admin' ? admin : user
    const address = await addressOf(path, user)
    for (const key of ['constructor', '__proto__', 'toString']) {
      const page = await sender.browser.get(`${address}?switch=1&notice=${key}&error=${key}`)
      expect(page.status).not.toBe(500)
      expect(await page.text()).not.toMatch(/native code|\[object/)
    }
  })
})

describe("somebody else's objects", () => {
  const own = forms.filter(({ path, guard }) => guard === 'user' && path.includes(':id'))
  it.each(own)(
    '$route takes an id of another user, of nobody and of no shape for none',
    async ({ path }) => {
      const csrf_token = await tokenOf(user)
      const foreign = await objectOf(path, other)
      // Nobody's id would be refused for that alone.
      expect(['', other.id]).not.toContain(foreign)
      const ids = [foreign, crypto.randomUUID(), foreign.toUpperCase(), 'x', '%01', '..%2f', "'--"]
      const { result, moved } = await observeAllUnchanged(app, ids, (id) =>
        user.browser.post(path.replace(':id', id), { csrf_token }),
      )
      for (const { status, headers } of result) {
        expect(status).toBe(path.startsWith('/apps') ? 404 : 303)
        expect(headers.get('location') ?? '').not.toContain('?')
      }
      expect(moved).toEqual({})
    },
  )

  const byId = forms.filter(({ path, guard }) => guard === 'admin' && path.includes(':id'))
  it.each(byId)('$route changes nothing for ids that do not exist', async ({ path }) => {
    const csrf_token = await tokenOf(admin)
    const ids = [crypto.randomUUID(), 'x', '%00', 'constructor', '..%2f..']
    const { result, moved } = await observeAllUnchanged(app, ids, (id) =>
      admin.browser.post(path.replace(':id', id), { csrf_token }),
    )
    for (const { status } of result) expect(status).toBeLessThan(500)
    expect(moved).toEqual({})
  })

  it.each(['disable', 'delete'])(
    'POST /admin/users/:id/%s refuses the own account',
    async (verb) => {
      const csrf_token = await tokenOf(admin)
      const { result, moved } = await observeUnchanged(app, () =>
        admin.browser.post(`/admin/users/${admin.id}/${verb}`, { csrf_token }),
      )
      expect(result.status).toBe(409)
      expect(moved).toEqual({})
    },
  )
})

describe('an address with a NUL, which no row could hold', () => {
  it.each(routes)('$route is refused before anything is looked at', async ({ method, path }) => {
    const whole = path.replaceAll(/:\w+/g, '%00')
    for (const address of [`${path.replaceAll(/:\w+/g, 'x')}?x=%00`, whole]) {
      if (!address.includes('%00')) continue
      const { result } = await observeUnchanged(app, () =>
        app.request(address, {
          method,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        }),
      )
      expect(result.status, address).toBe(400)
    }
  })
})

describe('a form that is sent twice', () => {
  /** The second time: status, and nothing else. Each of these is about a person or object of its own. */
  const once: [string, number][] = [
    ['/account/devices/revoke-others', 303],
    ['/account/devices/:id/revoke', 303],
    ['/account/authorizations/:id/revoke', 303],
    ['/account/tokens/revoke-all', 303],
    ['/account/tokens/:id/revoke', 303],
    // The session that the form was made for goes on under another id.
    ['/account/security/password', 403],
    ['/account/security/links/:id/remove', 303],
    ['/apps/:id', 303],
    ['/apps/:id/delete', 404],
    ['/admin/users', 409],
    ['/admin/users/:id', 409],
    ['/admin/users/:id/sessions/revoke-all', 303],
    ['/admin/users/:id/sessions/:sessionId/revoke', 303],
    ['/admin/users/:id/authorizations/:consentId/revoke', 303],
    ['/admin/users/:id/tokens/:familyId/revoke', 303],
    ['/admin/users/:id/connections/:identityId/remove', 303],
    ['/admin/users/:id/disable', 303],
    ['/admin/users/:id/enable', 303],
    ['/admin/users/:id/delete', 409],
    ['/admin/tokens/:id/revoke', 303],
    ['/admin/clients/:id/authorizations/:consentId/revoke', 303],
    ['/admin/clients/:id', 303],
    ['/admin/clients/:id/approve', 303],
    ['/admin/clients/:id/reject', 303],
    ['/admin/clients/:id/enable', 303],
    ['/admin/clients/:id/disable', 303],
    ['/admin/clients/:id/delete', 303],
    ['/admin/clients/:id/revoke-all', 303],
  ]
  /** Each time makes something new, and says so. */
  const everyTime = [
    // Changes nothing until the browser is back: see upstream.test.ts.
    '/account/security/links/:provider',
    // Changes nothing but for whoever has to: see first-password.test.ts.
    '/account/password',
    '/apps',
    '/apps/:id/regenerate-secret',
    '/admin/users/:id/reset-password',
    '/admin/clients',
    '/admin/clients/:id/regenerate-secret',
  ]

  it('is about every form', () => {
    expect([...once.map(([path]) => path), ...everyTime].sort()).toEqual(
      forms.map(({ path }) => path).sort(),
    )
  })

  it.each(once)(
    'POST %s changes something once and nothing the second time',
    async (path, status) => {
      const target = await person()
      // A second browser of the same person, whose session can be ended from the first.
      const second = openBrowser(app)
      await second.signIn(target.username)
      const sender = path.startsWith('/admin') ? admin : target
      const address = await prepare(path, target, second)
      const fields = { csrf_token: await tokenOf(sender), ...(await filledFor(address)) }
      const before = await stateOf(app)
      const first = await sender.browser.post(address, fields)
      expect(first.status).toBeLessThan(400)
      expect(await stateOf(app)).not.toEqual(before)
      const again = await observeUnchanged(app, () => sender.browser.post(address, fields))
      expect(again.result.status).toBe(status)
      expect(again.moved).toEqual({})
    },
  )
})

/** The address of the form, and the state in which it has something to change. */
async function prepare(path: string, target: Person, second: Browser): Promise<string> {
  if (path.startsWith('/account/devices/:id')) {
    // The latest session is the second browser's.
    expect((await second.get('/account/devices')).status).toBe(200)
    const rows = await app.database.db.select().from(sessions).where(eq(sessions.userId, target.id))
    const latest = rows.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())[0]
    return path.replace(':id', latest?.id ?? '')
  }
  const address = await addressOf(path, target)
  if (path === '/account/tokens/revoke-all') await familyOf(target)
  if (path === '/admin/clients/:id/revoke-all')
    await app.database.db.insert(consents).values({
      userId: target.id,
      clientId: address.split('/')[3] ?? '',
      scope: 'openid',
      grantedAt: app.now(),
    })
  if (path.endsWith('/enable')) {
    const csrf_token = await tokenOf(admin)
    await admin.browser.post(address.replace(/enable$/, 'disable'), { csrf_token })
  }
  return address
}

describe('forms of operators', () => {
  it('registers a client whose form repeats the scope field, as checkboxes do', async () => {
    const csrf_token = await tokenOf(admin)
    const body = new URLSearchParams({ ...filled(), csrf_token, scope: 'openid' })
    body.append('scope', 'email')
    const response = await app.request('/admin/clients', {
      method: 'POST',
      body: body.toString(),
      headers: { ...asBrowser(admin), 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect(response.status).toBe(200)
    const rows = await app.database.db.query.clients.findMany()
    expect(rows.map(({ scope }) => scope)).toContain('openid email')
  })

  const clientForms: [string, Record<string, string>][] = [
    ['no name', { client_name: '' }],
    ['a name of spaces', { client_name: '  ' }],
    ['a long name', { client_name: 'x'.repeat(101) }],
    ['a name that turns around', { client_name: 'knab \u202e' }],
    ['no type', { token_endpoint_auth_method: '' }],
    ['an unknown type', { token_endpoint_auth_method: 'client_secret_jwt' }],
    ['a key and no key', { token_endpoint_auth_method: 'private_key_jwt' }],
    ['keys that are no JSON', { jwks: '{' }],
    [
      'keys with a NUL',
      {
        jwks: String.raw`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"\u0000"}]}`,
      },
    ],
    ['keys in the clear', { jwks_uri: 'http://app.example.test/jwks' }],
    ['no grant', { grant_types: '' }],
    ['an unknown grant', { grant_types: 'authorization_code password' }],
    [
      'a grant that a public client cannot have',
      { token_endpoint_auth_method: 'none', grant_types: 'client_credentials', scope: '' },
    ],
    [
      'refresh tokens that a public client cannot keep',
      { token_endpoint_auth_method: 'none', refresh_token_mode: 'fixed' },
    ],
    ['an unknown refresh mode', { refresh_token_mode: 'random' }],
    ['an unknown token profile', { token_profile: 'eternal' }],
    ['an unknown algorithm', { id_token_signed_response_alg: 'HS256' }],
    ['a resource that is none', { allowed_resources: 'reports' }],
    ['a resource with a fragment', { served_resources: 'https://api.example.test/#x' }],
    ['a logout URI in the clear', { backchannel_logout_uri: 'http://app.example.test/' }],
    [
      'a redirect URI of JavaScript after signing out',
      { post_logout_redirect_uris: 'javascript:alert(1)' },
    ],
    [
      'a sector that nobody vouches for',
      { subject_type: 'pairwise', sector_identifier_uri: 'https://sector.invalid/' },
    ],
    ['no redirect URI', { redirect_uris: '' }],
    ['21 redirect URIs', { redirect_uris: 'https://a.test/ '.repeat(21) }],
    ['a redirect URI by http', { redirect_uris: 'http://app.example.test/' }],
    ['a redirect URI of JavaScript', { redirect_uris: 'javascript:alert(1)' }],
    ['one wrong among right ones', { redirect_uris: 'https://a.test/ https://b.test/#x' }],
    ['a home page of JavaScript', { client_uri: 'javascript:alert(1)' }],
    ['no scope', { scope: '' }],
    ['a scope that is none', { other_scopes: 'reports"read' }],
  ]
  it.each(clientForms)('refuses a client with %s', async (_, wrong) => {
    const fields = { csrf_token: await tokenOf(admin), ...filled(), ...wrong }
    const { result } = await observeUnchanged(app, () =>
      admin.browser.post('/admin/clients', fields),
    )
    expect(result.status).toBe(400)
    // The form comes back as it was sent, with what is wrong with it.
    expect(await result.text()).toMatch(/role="alert" id="form-problem">.*[.]</)
  })

  it('refuses a client with a NUL in its name', async () => {
    const fields = { csrf_token: await tokenOf(admin), ...filled(), client_name: 'a\0b' }
    const { result } = await observeUnchanged(app, () =>
      admin.browser.post('/admin/clients', fields),
    )
    expect(result.status).toBe(400)
  })

  it('registers a client with all that can be set', async () => {
    const key = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    const lists = 'https://a.example.test/1\r\nhttps://a.example.test/2'
    const fields = {
      csrf_token: await tokenOf(admin),
      client_name: '  Everything ',
      client_uri: 'https://a.example.test/',
      token_endpoint_auth_method: 'private_key_jwt',
      redirect_uris: lists,
      grant_types:
        'authorization_code client_credentials urn:ietf:params:oauth:grant-type:token-exchange',
      scope: 'openid',
      other_scopes: 'reports:read  openid reports:write',
      jwks: JSON.stringify({ keys: [key] }),
      id_token_signed_response_alg: 'EdDSA',
      userinfo_signed_response_alg: 'RS256',
      introspection_signed_response_alg: 'RS256',
      require_pushed_authorization_requests: 'true',
      dpop_bound_access_tokens: 'true',
      require_signed_request_object: 'true',
      token_profile: 'long',
      refresh_token_mode: 'fixed',
      allowed_resources: 'https://api.example.test/ urn:example:api',
      served_resources: 'https://self.example.test/',
      extra_claims: 'true',
      post_logout_redirect_uris: lists,
      backchannel_logout_uri: 'https://a.example.test/logout',
      subject_type: 'pairwise',
      backchannel_logout_session_required: 'true',
    }
    const answer = await (await admin.browser.post('/admin/clients', fields)).text()
    expect(answer).toContain('Credentials for Everything')
    expect(answer).not.toContain('Client secret')
    const row = await app.database.db.query.clients.findFirst({
      where: eq(clients.name, 'Everything'),
    })
    expect(row).toMatchObject({
      uri: fields.client_uri,
      type: 'confidential',
      status: 'active',
      secretHash: null,
      tokenEndpointAuthMethod: 'private_key_jwt',
      redirectUris: ['https://a.example.test/1', 'https://a.example.test/2'],
      grantTypes: fields.grant_types.split(' '),
      scope: 'openid reports:read reports:write',
      jwks: { keys: [key] },
      idTokenSignedResponseAlg: 'EdDSA',
      userinfoSignedResponseAlg: 'RS256',
      introspectionSignedResponseAlg: 'RS256',
      requirePushedAuthorizationRequests: true,
      dpopBoundAccessTokens: true,
      requireSignedRequestObject: true,
      tokenProfile: 'long',
      refreshTokenMode: 'fixed',
      allowedResources: ['https://api.example.test/', 'urn:example:api'],
      servedResources: ['https://self.example.test/'],
      extraClaims: true,
      postLogoutRedirectUris: ['https://a.example.test/1', 'https://a.example.test/2'],
      backchannelLogoutUri: fields.backchannel_logout_uri,
      backchannelLogoutSessionRequired: true,
      subjectType: 'pairwise',
      registrationTokenHash: null,
      ownerId: admin.id,
    })
  })

  it('registers a machine that needs neither redirect URIs nor scopes', async () => {
    const machine = { grant_types: 'client_credentials', redirect_uris: '', scope: '' }
    const fields = { csrf_token: await tokenOf(admin), ...filled(), ...machine }
    const answer = await admin.browser.post('/admin/clients', fields)
    expect(await answer.text()).toContain('Client secret')
  })

  const userForms: [string, Record<string, string>][] = [
    ['no username', { username: '' }],
    ['a username with a space', { username: 'ada lovelace' }],
    ['a username with a NUL', { username: 'a\0b' }],
    ['a username of 65 characters', { username: 'x'.repeat(65) }],
    ['no e-mail address', { email: '' }],
    ['an e-mail address that is none', { email: 'ada@' }],
    ['a full name with a NUL', { full_name: 'a\0b' }],
    ['a role that does not exist', { role: 'root' }],
    ['a short password', { password: '1234567' }],
    ['a password of 1025 characters', { password: 'x'.repeat(1025) }],
  ]
  it.each(userForms)('refuses an account with %s', async (_, wrong) => {
    const fields = { csrf_token: await tokenOf(admin), ...filled(), ...wrong }
    const { result } = await observeUnchanged(app, () => admin.browser.post('/admin/users', fields))
    expect(result.status).toBe(400)
  })

  it.each(['%25', '_', '\\', "'", '%F0%9F%92%A9', 'x'.repeat(5000)])(
    'lists accounts whatever is searched for: %j',
    async (search) => {
      for (const name of ['search', 'after'])
        expect((await admin.browser.get(`/admin/users?${name}=${search}`)).status).toBe(200)
    },
  )
})

describe('changing the own password', () => {
  const taken = (word: string): [string, Record<string, string>] => [
    `“${word}”`,
    { new_password: word, new_password_again: word },
  ]
  const wrong: [string, Record<string, string>][] = [
    ['a wrong current password', { current_password: 'not the password' }],
    ['no current password', { current_password: '' }],
    ['two different new passwords', { new_password_again: 'another new password' }],
    ['a short new password', { new_password: 'short', new_password_again: 'short' }],
    [
      'a long new password',
      { new_password: 'x'.repeat(1025), new_password_again: 'x'.repeat(1025) },
    ],
    ['no new password', { new_password: '', new_password_again: '' }],
    ...['password', '12345678', 'authgate'].map(taken),
  ]
  it.each(wrong)('refuses %s and ends nothing', async (_, fields) => {
    const form = { csrf_token: await tokenOf(user), ...filled(), ...fields }
    const { result, moved } = await observeUnchanged(app, () =>
      user.browser.post('/account/security/password', form),
    )
    expect(result.status).toBe(400)
    expect(moved).toEqual({})
  })
})

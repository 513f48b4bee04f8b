import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { csrfTokenOf, openBrowser } from '../support/browser.ts'
import { authorizePath, decide, obtainTokens, postToken } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'

let app: TestApp
// No audit rows: ten thousand of them would only slow this down.
const settings = {
  ENABLE_AUDIT_LOGGING: 'false',
  GITHUB_CLIENT_ID: 'authgate',
  GITHUB_CLIENT_SECRET: 'a secret between two servers',
}
beforeAll(async () => {
  app = await startTestApp({ settings })
})
afterAll(() => app.close())

const form = 'application/x-www-form-urlencoded'
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'QUERY', 'BREW']

/** Each answer that the routes can give to a hostile request, once, by whatever method may bring it. */
const targets = [
  '/',
  '/nothing',
  '/login',
  '/logout',
  '/livez',
  '/oauth/authorize',
  '/oauth/token',
  '/oauth/userinfo',
  '/oauth/device/code',
  '/device',
  '/device/verify',
  '/device/decide',
  '/.well-known/jwks.json',
  '/account/devices',
  '/account/devices/x/revoke',
  '/account/authorizations/x/revoke',
  '/admin/users',
  '/admin/users/x/disable',
  '/admin/clients/x/enable',
  '/admin/audit',
  '/admin/audit/export',
  '/admin/tokens',
  '/admin/tokens/x/revoke',
  '/admin/clients/x',
  '/apps',
  '/apps/x',
  '/account/tokens/x/revoke',
  '/account/security/links/x/remove',
  '/auth/login/github',
  '/auth/callback/github',
  '/auth/login/x',
  '/auth/callback/x',
] as const

interface Attack {
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** Attack number `n`; the same for the same number and word, and with another number nothing of it repeats. */
const kinds: readonly ((n: string) => Attack)[] = [
  (n) => ({ method: 'GET', path: `/${n}` }),
  (n) => ({ method: 'GET', path: `/assets/${n}.css` }),
  (n) => ({ method: 'GET', path: `/.well-known/${n}` }),
  (n) => ({ method: 'GET', path: `/oauth/${n}` }),
  (n) => ({ method: 'GET', path: `/account/${n}` }),
  (n) => ({ method: 'POST', path: `/account/devices/${n}/revoke` }),
  (n) => ({ method: 'POST', path: `/admin/clients/${n}/enable` }),
  (n) => ({ method: 'GET', path: `/admin/audit?type=${n}&${n}=${n}` }),
  (n) => ({ method: 'GET', path: `/admin/tokens?user=${n}&${n}=${n}` }),
  (n) => ({ method: 'POST', path: `/apps/${n}/delete` }),
  (n) => ({ method: 'POST', path: `/account/tokens/${n}/revoke` }),
  (n) => ({ method: 'GET', path: `/auth/login/${n}` }),
  (n) => ({ method: 'GET', path: `/auth/callback/${n}?state=${n}&code=${n}` }),
  (n) => ({
    method: 'GET',
    path: `/auth/callback/github?state=${n}&code=${n}&error=${n}&iss=https://${n}.test`,
  }),
  (n) => ({ method: 'GET', path: `/login?redirect=/${n}&error=${n}&${n}=${n}` }),
  (n) => ({
    method: 'GET',
    path: `/oauth/authorize?client_id=${n}&redirect_uri=https://${n}.test`,
  }),
  (n) => ({ method: 'GET', path: `/oauth/authorize?authorization_request=${n}` }),
  (n) => ({ method: 'GET', path: '/oauth/userinfo', headers: { authorization: `Bearer ${n}` } }),
  (n) => ({ method: 'GET', path: '/oauth/userinfo', headers: { authorization: `${n} x` } }),
  (n) => ({
    method: 'POST',
    path: '/oauth/token',
    body: `grant_type=${n}&client_id=${n}&error=${n}&${n}=${n}`,
    headers: { 'content-type': form },
  }),
  (n) => ({
    method: 'POST',
    path: '/oauth/token',
    body: 'grant_type=refresh_token',
    headers: { 'content-type': form, authorization: `Basic ${btoa(`${n}:${n}`)}` },
  }),
  (n) => ({
    method: 'POST',
    path: '/oauth/token',
    body: n,
    headers: { 'content-type': `text/${n}` },
  }),
  (n) => ({
    method: 'POST',
    path: '/oauth/device/code',
    body: `client_id=${n}&scope=${n}&resource=${n}&${n}=${n}`,
    headers: { 'content-type': form, 'user-agent': n },
  }),
  (n) => ({ method: 'GET', path: `/device?user_code=${n}` }),
  (n) => ({
    method: 'POST',
    path: '/device/verify',
    body: `user_code=${n}&csrf_token=${n}`,
    headers: { 'content-type': form },
  }),
  (n) => ({
    method: 'POST',
    path: '/login',
    body: `username=${n}&password=${n}&${n}=${n}&csrf_token=${n}`,
    headers: { 'content-type': form, cookie: `oauth_csrf=${n}; ${n}=${n}` },
  }),
  (n) => ({
    method: 'GET',
    path: '/login',
    headers: {
      'user-agent': n,
      host: `${n}.test`,
      'x-forwarded-for': n,
      'x-forwarded-proto': n,
      'x-forwarded-host': n,
      traceparent: `00-${n.padEnd(32, '0').slice(0, 32)}-0000000000000001-01`,
      tracestate: `a=${n}`,
      baggage: `user=${n}`,
      referer: `https://${n}.test`,
      cookie: `oauth_session=${n}; oauth_known_browser=${n}; oauth_csrf=${n}`,
      accept: n,
    },
  }),
]

const send = ({ method, path, headers, body }: Attack) =>
  app.request(path, {
    method,
    ...(headers && { headers }),
    ...(body !== undefined && { body }),
  })

const seriesOf = async () => new Set((await app.samples()).keys())

/** Hexadecimal, so that it may stand anywhere. */
const word = (n: number) => `a${n.toString(16).padStart(6, '0')}f`

describe('ten thousand hostile requests', () => {
  it('add no series, whatever they are called by, ask for, or carry', async () => {
    await honestRequests()
    // One of each kind: what may exist does exist now.
    for (const method of methods) for (const path of targets) await send({ method, path })
    for (const kind of kinds) await send(kind(word(0)))
    const before = await seriesOf()
    expect(before.size).toBeGreaterThan(300)

    const statuses = new Map<number, number>()
    let sent = 0
    while (sent < 10_000) {
      const batch = Array.from({ length: 200 }, (_, n) => attack(sent + n + 1))
      for (const { status } of await Promise.all(batch.map(send)))
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      sent += batch.length
    }
    expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([])
    const after = await seriesOf()
    expect([...after].filter((series) => !before.has(series))).toEqual([])
    expect(after.size).toBe(before.size)
    for (const series of after) expect(series).not.toMatch(/a00[0-9a-f]{4}f/)
  }, 120_000)

  it('add none by names of methods, of which everybody can make up as many as they like', async () => {
    const before = await seriesOf()
    for (let n = 0; n < 300; n += 1) {
      const response = await send({ method: `M${n}`, path: n % 2 === 0 ? '/login' : `/m${n}` })
      expect(response.status).toBeLessThan(500)
    }
    expect([...(await seriesOf())].filter((series) => !before.has(series))).toEqual([])
  })
})

const attack = (n: number): Attack => {
  const kind = kinds[n % kinds.length]
  if (!kind) throw new Error('there are no kinds')
  return kind(word(n))
}

/** Everything that ordinary people, clients and operators do. */
async function honestRequests() {
  const { db } = app.database
  const [user, admin] = [await addUser(db), await addAdmin(db)]
  const { client } = await addClient(db)
  const browser = openBrowser(app)
  await browser.signIn(user.username, { password: 'wrong' })
  await browser.signIn('nobody at all')
  await browser.signIn(user.username)
  await decide(browser, authorizePath(client.clientId), 'deny')
  const { refresh_token, access_token } = await obtainTokens(app, browser, client.clientId)
  const refresh = { grant_type: 'refresh_token', client_id: client.clientId, refresh_token }
  await postToken(app, refresh)
  for (const method of ['GET', 'POST'])
    await app.request('/oauth/userinfo', {
      method,
      headers: { authorization: `Bearer ${access_token}` },
    })
  for (const page of ['devices', 'authorizations', 'tokens', 'security', 'sessions'])
    await browser.get(`/account/${page}`)
  const console = openBrowser(app)
  await console.signIn(admin.username)
  for (const page of ['', '/users', '/clients']) await console.get(`/admin${page}`)
  const csrf_token = csrfTokenOf(await (await console.get('/admin/users')).text())
  for (const verb of ['disable', 'enable', 'reset-password', 'delete'])
    await console.post(`/admin/users/${user.id}/${verb}`, { csrf_token })
  await console.signOut()
}

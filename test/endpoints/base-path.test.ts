/** A server whose BASE_URL has a path: nothing that it says leads anywhere else, whatever the proxy in front does with the path. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { addDeviceClient } from '../support/devices.ts'
import { authorizePath, obtainTokens, parametersOf, postToken } from '../support/flow.ts'
import { addAdmin, addClient, addUser, testPassword } from '../support/people.ts'
import { createKey, keySetOf, signAssertion, signDpopProof } from '../support/proofs.ts'
import { type Form, formsOf, tagsOf } from '../unit/web/markup.ts'

const proxies = [
  { proxy: 'a proxy that passes the path on', stripped: false },
  { proxy: 'a proxy that strips the path', stripped: true },
]

const base = '/auth'
const issuer = `https://example.test${base}`
const settings = {
  BASE_URL: issuer,
  GITHUB_OAUTH_ENABLED: 'true',
  GITHUB_CLIENT_ID: 'github-client',
  GITHUB_CLIENT_SECRET: 'github-secret',
  ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
  TRUSTED_PROXIES: '192.0.2.10',
}

type Send = Pick<TestApp, 'request'>

const isWithin = (path: string) => path === base || /^\/auth[/?]/.test(path)

/** The proxy: what is not below the path never reaches the server, but for what RFC 8414 §3.1 puts outside. */
function behind(app: TestApp, stripped: boolean): Send {
  return {
    request(path, init) {
      if (isWithin(path)) {
        const rest = path.slice(base.length)
        return app.request(stripped ? (rest.startsWith('/') ? rest : `/${rest}`) : path, init)
      }
      if (/^\/\.well-known\/[\w-]+\/auth$/.test(path)) return app.request(path, init)
      throw new Error(`left the path: ${path}`)
    },
  }
}

const addressAttributes = ['href', 'src', 'action', 'formaction']

/** The addresses of an answer that are on this host. */
async function addressesIn(response: Response): Promise<string[]> {
  const location = response.headers.get('location') ?? ''
  const tags = isHtml(response) ? tagsOf(await response.clone().text()) : []
  const written = tags.flatMap(({ attributes }) =>
    addressAttributes.flatMap((name) => attributes.get(name) ?? []),
  )
  return [location, ...written]
    .map((address) => address.replaceAll('&amp;', '&'))
    .filter((address) => address !== '' && !/^[#?]|^[a-z][a-z.+-]*:/i.test(address))
}

const isHtml = (response: Response) =>
  response.headers.get('content-type')?.startsWith('text/html') === true

/** A server of an earlier release lived at the root, and what it left there is only taken away. */
const cookiePathsOf = (response: Response) =>
  response.headers
    .getSetCookie()
    .filter((cookie) => !/^oauth_\w+=; Max-Age=0; Path=\//.test(cookie))
    .map((cookie) => /; Path=([^;]*)/.exec(cookie)?.[1] ?? 'none')

/** Fails on an address or a cookie that leaves the path; answers with the addresses. */
async function staysWithin(response: Response, at: string): Promise<string[]> {
  const addresses = await addressesIn(response)
  expect(
    addresses.filter((address) => !isWithin(address)),
    `addresses at ${at}`,
  ).toEqual([])
  expect(
    cookiePathsOf(response).filter((path) => !isWithin(path)),
    `cookies at ${at}`,
  ).toEqual([])
  return addresses
}

/** Whether a path is one of a route such as `/apps/:id`. */
const isOf = (route: string, path: string) =>
  new RegExp(`^${route.replaceAll(/:\w+/g, '[^/]+')}$`).test(path)
const pathOf = (address: string) => address.slice(base.length).split(/[?#]/)[0] || '/'

describe.each(proxies)('behind $proxy', ({ stripped }) => {
  let app: TestApp
  let proxy: Send
  let admin: Browser
  let username: string
  let seeds: string[]
  const routesOf = (wanted: string) => [
    ...new Set(app.routes.filter(({ method }) => method === wanted).map(({ path }) => path)),
  ]

  beforeAll(async () => {
    app = await startTestApp({ settings: { ...settings, PROXY_STRIPS_PATH: String(stripped) } })
    proxy = behind(app, stripped)
    admin = openBrowser(proxy)
    const account = await addAdmin(app.database.db)
    username = account.username
    await signIn()
    const { db } = app.database
    await addClient(db, { type: 'confidential', status: 'pending' })
    await addClient(db, { ownerId: account.id, grantTypes: [deviceCodeGrantType] })
    const other = await addUser(db)
    const { client } = await addClient(db)
    await obtainTokens(within(proxy), openBrowserWith(admin), client.clientId)
    seeds = [
      ...['/', '/login?switch=1', '/device', '/admin', '/missing', '/account/sessions'],
      ...['/auth/login/github', '/auth/callback/github?state=x', '/oauth/logout', '/apps/new'],
      ...['/oauth/userinfo', '/oauth/tokeninfo', '/oauth/register/none'],
      ...[
        '/livez',
        '/readyz',
        '/health',
        '/.well-known/jwks.json',
        '/.well-known/security.txt',
        '/account/password',
        `/admin/users/${other.id}/edit`,
      ],
      ...['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'],
      ...['/admin/audit/api', '/admin/audit/api/stats', '/admin/audit/export?format=csv'],
      authorizePath(client.clientId),
      authorizePath(client.clientId, { prompt: 'consent' }),
      authorizePath(client.clientId, { prompt: 'select_account' }),
      authorizePath(client.clientId, { response_mode: 'form_post' }),
      authorizePath('unknown'),
    ].map((path) => base + path)
  })
  afterAll(() => app.close())

  const signIn = () => openBrowserWith(admin).signIn(username)
  /** The tests' own steps name routes; they are taken below the path. */
  const within = (send: Send): Send => ({
    request: (path, init) => send.request(base + path, init),
  })
  const openBrowserWith = ({ cookies }: Browser) => openBrowser(within(proxy), { cookies })

  it('every page, link, redirect, asset, form and cookie stays below the path', async () => {
    const { visited, forms } = await crawl()
    const missed = routesOf('GET').filter((route) => !visited.some((path) => isOf(route, path)))
    expect(missed).toEqual([])
    expect(forms.get('unknown')).toBeUndefined()
    for (const { action, fields } of forms.values()) {
      // Some of them sign out.
      await signIn()
      const csrf_token = csrfTokenOf(await (await admin.get(`${base}/account/devices`)).text())
      const answer = await admin.post(action, { ...fields, csrf_token })
      await staysWithin(answer, `POST ${action}`)
      expect([action, answer.status]).not.toEqual([action, 403])
    }
    // The forms of the pages that only an operator at work sees.
    expect(forms.size).toBeGreaterThan(25)
  }, 120_000)

  const isPage = (address: string) => routesOf('GET').some((route) => isOf(route, pathOf(address)))

  /** Follows every link to a page; keeps one form for each route. */
  async function crawl() {
    // It grows on the way.
    const seen = new Set(seeds)
    const forms = new Map<string, OwnForm>()
    for (const at of seen) {
      const response = await admin.get(at)
      for (const address of await staysWithin(response, at)) if (isPage(address)) seen.add(address)
      for (const form of await ownFormsOf(response)) {
        const route = routesOf('POST').find((template) => isOf(template, pathOf(form.action)))
        forms.set(route ?? 'unknown', form)
      }
    }
    return { visited: [...seen].map(pathOf), forms }
  }
})

interface OwnForm {
  readonly action: string
  readonly fields: Record<string, string>
}

/** The forms of a page that change something here. */
const ownFormsOf = async (response: Response): Promise<OwnForm[]> =>
  (isHtml(response) ? formsOf(await response.text()) : [])
    .filter(({ attributes }) => attributes.get('method') === 'post')
    .map((form) => ({ action: form.attributes.get('action') ?? '', fields: fieldsOf(form) }))
    .filter(({ action }) => action.startsWith('/'))

const fieldsOf = ({ controls }: Form) =>
  Object.fromEntries(
    controls.map(({ attributes }) => [attributes.get('name') ?? '', attributes.get('value') ?? '']),
  )

describe.each(proxies)('behind $proxy, step by step', ({ stripped }) => {
  let app: TestApp
  let proxy: Send
  beforeAll(async () => {
    app = await startTestApp({ settings: { ...settings, PROXY_STRIPS_PATH: String(stripped) } })
    proxy = behind(app, stripped)
  })
  afterAll(() => app.close())
  const json = async (path: string) =>
    (await (await proxy.request(path)).json()) as Record<string, unknown>

  it('describes itself at all four addresses that clients derive from the issuer', async () => {
    const openid = await json(`${base}/.well-known/openid-configuration`)
    const oauth = await json(`${base}/.well-known/oauth-authorization-server`)
    expect([openid, oauth]).toMatchObject([{ issuer }, { issuer }])
    expect(await json(`/.well-known/openid-configuration${base}`)).toEqual(openid)
    expect(await json(`/.well-known/oauth-authorization-server${base}`)).toEqual(oauth)
    const endpoints = Object.entries(openid).filter(([name]) => /_(endpoint|uri)$/.test(name))
    expect(endpoints.length).toBeGreaterThan(8)
    for (const [name, address] of endpoints)
      expect(String(address).startsWith(`${issuer}/`), name).toBe(true)
  })

  it('a person signs in on the way to a client, with cookies for the path alone', async () => {
    const { client } = await addClient(app.database.db)
    const { username } = await addUser(app.database.db)
    const browser = openBrowser(proxy)
    const asked = await browser.get(base + authorizePath(client.clientId))
    const login = asked.headers.get('location') ?? ''
    expect(login).toMatch(/^\/auth\/login\?redirect=%2Foauth%2Fauthorize/)
    const page = await (await browser.get(login)).text()
    const signedIn = await browser.post(`${base}/login`, {
      csrf_token: csrfTokenOf(page),
      redirect: hiddenField(page, 'redirect'),
      username,
      password: testPassword,
    })
    expect(cookiePathsOf(signedIn).sort()).toEqual(['/auth', '/auth/login'])
    for (const cookie of signedIn.headers.getSetCookie())
      expect(cookie).toMatch(/^__Secure-.*; Secure/)
    const consent = await (await browser.get(signedIn.headers.get('location') ?? '')).text()
    const sent = await browser.post(`${base}/oauth/authorize`, {
      csrf_token: csrfTokenOf(consent),
      authorization_request: hiddenField(consent, 'authorization_request'),
      action: 'approve',
    })
    expect(sent.headers.get('location')).toMatch(/^https:\/\/app\.example\.test\/callback\?code=/)
    expect(parametersOf(sent)).toMatchObject({ iss: issuer })
  })

  it('a device is let in below the path', async () => {
    const { client } = await addDeviceClient(app.database.db)
    const { username } = await addUser(app.database.db)
    const asked = await proxy.request(`${base}/oauth/device/code`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: client.clientId, scope: 'openid' }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    const codes = (await asked.json()) as Record<string, string>
    expect(codes['verification_uri']).toBe(`${issuer}/device`)
    expect(codes['verification_uri_complete']).toContain(`${issuer}/device?`)
    const browser = openBrowser({ request: (path, init) => proxy.request(base + path, init) })
    await browser.signIn(username)
    const code = { user_code: codes['user_code'] ?? '' }
    const confirm = await browser.submit('/device', '/device/verify', code)
    await staysWithin(confirm, '/device/verify')
    const [form] = (await ownFormsOf(confirm)).filter(({ action }) => action.endsWith('/decide'))
    expect(form?.action).toBe(`${base}/device/decide`)
    const decided = await browser.post('/device/decide', { ...form?.fields, action: 'approve' })
    expect(decided.status).toBe(200)
    await staysWithin(decided, '/device/decide')
  })

  it.each(['/other', '//evil.test', '/%2e%2e/other', '/../../other', 'https://evil.test/auth'])(
    'a sign-in that is to lead to %s does not leave the path',
    async (redirect) => {
      const { username } = await addUser(app.database.db)
      const browser = openBrowser(proxy)
      const page = await browser.get(`${base}/login?${new URLSearchParams({ redirect })}`)
      const signedIn = await browser.post(`${base}/login`, {
        csrf_token: csrfTokenOf(await page.text()),
        redirect,
        username,
        password: testPassword,
      })
      expect(signedIn.status).toBe(303)
      expect(new URL(signedIn.headers.get('location') ?? '', issuer).href).toMatch(
        /^https:\/\/example\.test\/auth\//,
      )
    },
  )

  it('proofs and assertions name the address that clients know', async () => {
    const key = await createKey()
    const { client } = await addClient(app.database.db, {
      type: 'confidential',
      tokenEndpointAuthMethod: 'private_key_jwt',
      grantTypes: ['client_credentials'],
      scope: 'read',
      jwks: keySetOf(key),
    })
    const { clientId } = client
    const ask = async (audience: string, htu: string) => {
      const now = app.now()
      const nonce = (await token({ dpop: await signDpopProof(key, { htm: 'POST', htu, now }) }))
        .headers
      const dpop = await signDpopProof(key, {
        htm: 'POST',
        htu,
        now,
        nonce: nonce.get('dpop-nonce') ?? undefined,
      })
      return token({ dpop }, await signAssertion(key, { clientId, audience, now }))
    }
    const token = (headers: Record<string, string>, client_assertion = '') =>
      postToken(
        { request: (path, init) => proxy.request(base + path, init) },
        {
          grant_type: 'client_credentials',
          client_id: clientId,
          client_assertion,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        },
        headers,
      )
    const ours = `${issuer}/oauth/token`
    const elsewhere = 'https://example.test/oauth/token'
    expect(await (await ask(ours, ours)).json()).toMatchObject({ token_type: 'DPoP' })
    expect(await (await ask(issuer, ours)).json()).toMatchObject({ token_type: 'DPoP' })
    expect(await (await ask(elsewhere, ours)).json()).toMatchObject({ error: 'invalid_client' })
    expect(await (await ask(ours, elsewhere)).json()).toMatchObject({ error: 'invalid_dpop_proof' })
  })

  it('wrong addresses, wrong methods, other sites and probes are answered as at the root', async () => {
    const headers = { accept: 'text/html' }
    expect((await proxy.request(`${base}/nothing`, { headers })).status).toBe(404)
    const wrong = await proxy.request(`${base}/oauth/token`)
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
    const preflight = await proxy.request(`${base}/oauth/token`, {
      method: 'OPTIONS',
      headers: { origin: 'https://spa.test', 'access-control-request-method': 'POST' },
    })
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([
      204,
      '*',
    ])
    // An orchestrator asks the server itself, past the proxy.
    for (const send of [
      proxy.request(`${base}/livez`),
      app.request('/livez'),
      app.request('/readyz'),
    ])
      expect((await send).status).toBe(200)
  })

  it('series name routes without the path', async () => {
    await proxy.request(`${base}/account/devices`)
    const routes = [...(await app.samples()).keys()].flatMap(
      (series) => /http_route="([^"]*)"/.exec(series)?.[1] ?? [],
    )
    expect(routes).toContain('/account/devices')
    const known = app.routes.map(({ path }) => path)
    expect(routes.filter((route) => !known.includes(route))).toEqual([])
  })

  it('a trusted proxy still says which trace a request belongs to', async () => {
    const traceId = 'a'.repeat(32)
    const traceparent = `00-${traceId}-${'b'.repeat(16)}-01`
    const headers = { accept: 'text/html', traceparent }
    expect(await (await proxy.request(`${base}/nothing`, { headers })).text()).toContain(traceId)
  })
})

describe('without a path', () => {
  it('a page is the same but for the path', async () => {
    const root = await startTestApp({ settings: { BASE_URL: 'https://example.test' } })
    const below = await startTestApp({ settings: { BASE_URL: issuer }, replicaOf: root })
    const pageOf = async (app: TestApp, path: string) =>
      (await (await openBrowser(app).get(path)).text()).replace(/value="[\w-]{43}"/g, '')
    const atRoot = await pageOf(root, '/login')
    expect(atRoot).not.toContain('/auth/')
    const page = await pageOf(below, `${base}/login`)
    expect(page).not.toBe(atRoot)
    expect(page.replaceAll('="/auth', '="')).toBe(atRoot)
    await below.close()
    await root.close()
  })

  it('what comes with the path is not ours', async () => {
    const root = await startTestApp()
    expect((await root.request('/auth/livez')).status).toBe(404)
    expect((await root.request('/.well-known/openid-configuration/auth')).status).toBe(404)
    await root.close()
  })
})

describe('a path that begins as a route of ours does', () => {
  it.each([
    ['/auth', '/auth/login/github'],
    ['/oauth', '/oauth/logout'],
    ['/apps', '/apps/new'],
    ['/admin', '/admin/users'],
    ['/account', '/account/devices'],
  ])('BASE_URL with %s: %s below it is found behind both proxies', async (path, route) => {
    const BASE_URL = `https://example.test${path}`
    const whole = await startTestApp({ settings: { ...settings, BASE_URL } })
    const stripping = await startTestApp({
      settings: { ...settings, BASE_URL, PROXY_STRIPS_PATH: 'true' },
      replicaOf: whole,
    })
    const root = await startTestApp({ settings, replicaOf: whole })
    const answers = [await whole.request(path + route), await stripping.request(route)]
    const expected = (await root.request(`/auth${route}`)).status
    expect(answers.map(({ status }) => status)).toEqual([expected, expected])
    for (const app of [root, stripping, whole]) await app.close()
  })
})

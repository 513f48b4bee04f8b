/** Apache's mod_auth_openidc, unmodified, as a client of the running server: what many sites already have. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Browser, openBrowser } from '../support/browser.ts'
import { decide } from '../support/flow.ts'
import { type Running, register, startServer } from '../support/interop.ts'
import { type Apache, prepareSite, type Site } from './apache.ts'

let running: Running
let site: Site
let apache: Apache
/** Signed in at the server; at the site, only where a test signs in. */
let person: Browser

beforeAll(async () => {
  running = await startServer()
  site = await prepareSite()
  const { client_id, client_secret } = await registerSite()
  apache = await site.start([
    `OIDCProviderMetadataURL ${running.server.url}/.well-known/openid-configuration`,
    `OIDCClientID ${client_id}`,
    `OIDCClientSecret ${client_secret}`,
    'OIDCProviderTokenEndpointAuth client_secret_basic',
    'OIDCPKCEMethod S256',
    'OIDCScope "openid profile email offline_access"',
    'OIDCRemoteUserClaim preferred_username',
    `OIDCRedirectURLsAllowed ^${site.url}`,
    `OIDCOAuthServerMetadataURL ${running.server.url}/.well-known/oauth-authorization-server`,
    `OIDCOAuthClientID ${client_id}`,
    `OIDCOAuthClientSecret ${client_secret}`,
    'OIDCOAuthRemoteUserClaim sub',
  ])
})
afterAll(async () => {
  await apache?.stop()
  await running?.home.remove()
})
beforeEach(async () => {
  const { username, password } = running.home.credentials()
  person = openBrowser(running.server)
  await person.signIn(username, { password })
})

async function registerSite() {
  const config = await register(running, {
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: [site.redirectUri],
    post_logout_redirect_uris: [`${site.url}/`],
    backchannel_logout_uri: `${site.redirectUri}?logout=backchannel`,
    id_token_signed_response_alg: 'RS256',
  })
  return config.clientMetadata()
}

/** Opens the protected page and answers the server's question; the response is that of the site's redirect URI. */
async function visit(visitor: Browser, action: 'approve' | 'deny') {
  const start = target(await visitor.get('/private/'))
  const direct = await person.get(start)
  const answered = direct.status === 302 ? direct : await decide(person, start, action)
  return visitor.get(target(answered))
}

function target(response: Response): string {
  const { pathname, search } = new URL(response.headers.get('location') ?? 'http://no/where')
  return pathname + search
}

const known = async (visitor: Browser) => variables(await visitor.get('/private/'))

/** The pages list what Apache knows, a line each. */
async function variables(page: Response): Promise<Record<string, string>> {
  const text = await page.text()
  const pairs = text.split('\n').map((line) => /^(\w+)=(.*)$/.exec(line))
  return Object.fromEntries(pairs.flatMap((pair) => (pair ? [[pair[1], pair[2]]] : [])))
}

it('refuses its page to whoever said no', async () => {
  const visitor = openBrowser(apache)
  expect(await (await visit(visitor, 'deny')).text()).toContain('Error')
  expect(target(await visitor.get('/private/'))).toMatch(/^\/oauth\/authorize\?/)
})

it('shows its page to whoever signed in at the server, and knows who they are', async () => {
  const visitor = openBrowser(apache)
  expect(target(await visit(visitor, 'approve'))).toBe('/private/')
  expect(await known(visitor)).toMatchObject({
    REMOTE_USER: 'admin',
    AUTH_TYPE: 'openid-connect',
    OIDC_CLAIM_iss: running.server.url,
    OIDC_CLAIM_name: 'Administrator',
    OIDC_CLAIM_email: 'admin@localhost.invalid',
  })
})

it('renews its tokens', async () => {
  const visitor = openBrowser(apache)
  await visit(visitor, 'approve')
  const { OIDC_access_token: before = '' } = await known(visitor)
  const renewed = await visitor.get(
    `/private/redirect?${new URLSearchParams({ refresh: `${site.url}/private/`, access_token: before })}`,
  )
  expect(target(renewed)).toBe('/private/')
  const { OIDC_access_token: after } = await known(visitor)
  expect(after).toMatch(/^ey/)
  expect(after).not.toBe(before)
})

const isKnown = async (visitor: Browser) => 'REMOTE_USER' in (await known(visitor))

it('signs out here and there, and comes back', async () => {
  const visitor = openBrowser(apache)
  await visit(visitor, 'approve')
  const leaving = new URLSearchParams({ logout: `${site.url}/` })
  const sent = await visitor.get(`/private/redirect?${leaving}`)
  expect(await isKnown(visitor)).toBe(false)
  const back = await person.get(target(sent))
  expect(back.headers.get('location')).toBe(`${site.url}/`)
  expect((await person.get('/account/devices')).status).not.toBe(200)
})

it('hears that somebody signed out at the server, and forgets them', async () => {
  const visitor = openBrowser(apache)
  await visit(visitor, 'approve')
  expect(await isKnown(visitor)).toBe(true)
  await person.signOut()
  await expect.poll(() => isKnown(visitor), { timeout: 20_000 }).toBe(false)
})

it('serves its API to the bearer of a token that introspection calls active, and to no other', async () => {
  const visitor = openBrowser(apache)
  await visit(visitor, 'approve')
  const { OIDC_access_token: token, OIDC_CLAIM_sub: sub } = await known(visitor)
  const call = (bearer: string) =>
    apache.request('/api/', { headers: { authorization: `Bearer ${bearer}` } })
  expect(await variables(await call(token ?? ''))).toMatchObject({ REMOTE_USER: sub })
  expect((await call(`${token}x`)).status).toBe(401)
})

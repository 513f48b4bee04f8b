/** Apache's mod_auth_openidc, unmodified, as a client of the running server: what many sites already have. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Browser, openBrowser } from '../support/browser.ts'
import { decide } from '../support/flow.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { createConfidentialClient } from '../system/admin.ts'
import { type Apache, prepareSite } from './apache.ts'

let home: Home
let server: ServerProcess
let apache: Apache
/** Signed in at the server; at the site, only where a test signs in. */
let person: Browser

beforeAll(async () => {
  home = await createHome()
  server = await home.start()
  const { username, password } = home.credentials()
  person = openBrowser(server)
  await person.signIn(username, { password })
  const site = await prepareSite()
  const { clientId, secret } = await createConfidentialClient(person, site.redirectUri)
  apache = await site.start([
    `OIDCProviderMetadataURL ${server.url}/.well-known/openid-configuration`,
    `OIDCClientID ${clientId}`,
    `OIDCClientSecret ${secret}`,
    'OIDCProviderTokenEndpointAuth client_secret_basic',
    'OIDCPKCEMethod S256',
    'OIDCScope "openid profile email offline_access"',
    'OIDCRemoteUserClaim preferred_username',
    'OIDCRedirectURLsAllowed ^http://127.0.0.1',
  ])
})
afterAll(async () => {
  await apache?.stop()
  await home.remove()
})

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

/** The page lists what Apache knows, a line each. */
async function known(visitor: Browser): Promise<Record<string, string>> {
  const text = await (await visitor.get('/private/')).text()
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
    OIDC_CLAIM_iss: server.url,
    OIDC_CLAIM_name: 'Administrator',
    OIDC_CLAIM_email: 'admin@localhost.invalid',
  })
})

it('renews its tokens', async () => {
  const visitor = openBrowser(apache)
  await visit(visitor, 'approve')
  const { OIDC_access_token: before = '' } = await known(visitor)
  const renewed = await visitor.get(
    `/private/redirect?${new URLSearchParams({ refresh: 'http://127.0.0.1/private/', access_token: before })}`,
  )
  expect(target(renewed)).toBe('/private/')
  const { OIDC_access_token: after } = await known(visitor)
  expect(after).toMatch(/^ey/)
  expect(after).not.toBe(before)
})

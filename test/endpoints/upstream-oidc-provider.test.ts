/** The same against somebody else's OpenID Connect server: discovery, PKCE, nonce, RFC 9207, claims at userinfo. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { eq } from 'drizzle-orm'
import { decodeJwt } from 'jose'
import Provider from 'oidc-provider'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { identities } from '#/database/schema/identities.ts'
import { users } from '#/database/schema/users.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { answerConsent, authorizePath, parametersOf, redeemCode } from '../support/flow.ts'
import { addClient } from '../support/people.ts'

const subject = 'ada-at-oidc-provider'
const email = `${subject}@example.test`

let app: TestApp
let server: Server
let issuer = ''
beforeAll(async () => {
  let handle = (_request: IncomingMessage, response: ServerResponse) => void response.end()
  server = createServer((request, response) => handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = startProvider()
  const callback = provider.callback()
  handle = (request, response) =>
    void (request.url?.startsWith('/interaction/')
      ? agree(provider, request, response)
      : callback(request, response))
  app = await startTestApp({
    settings: { OIDC_ISSUER: issuer, OIDC_CLIENT_ID: 'authgate', OIDC_CLIENT_SECRET: 'a-secret' },
  })
})
afterAll(async () => {
  await app.close()
  server.closeAllConnections()
  server.close()
})

const startProvider = () =>
  new Provider(issuer, {
    clients: [
      {
        client_id: 'authgate',
        client_secret: 'a-secret',
        redirect_uris: ['http://localhost:8080/auth/callback/oidc'],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
    },
    cookies: { keys: ['test'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    pkce: { required: () => true },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, email, email_verified: true, name: 'Ada', preferred_username: id }),
    }),
  })

/** How often somebody had to say who they are. */
let asked = 0

/** Whoever comes is Ada, and agrees. */
async function agree(provider: Provider, request: IncomingMessage, response: ServerResponse) {
  const { prompt, params, session } = await provider.interactionDetails(request, response)
  if (prompt.name === 'login') {
    asked += 1
    return provider.interactionFinished(request, response, { login: { accountId: subject } })
  }
  const grant = new provider.Grant({
    ...(session && { accountId: session.accountId }),
    clientId: String(params['client_id']),
  })
  grant.addOIDCScope(String(params['scope']))
  const consent = { grantId: await grant.save() }
  return provider.interactionFinished(
    request,
    response,
    { consent },
    { mergeWithLastSubmission: true },
  )
}

/** Walks through the provider as a browser does; answers with the address of ours it ends at. */
async function walk(start: string, cookies = new Map<string, string>()): Promise<URL> {
  let next = new URL(start)
  for (let steps = 0; next.origin === issuer && steps < 10; steps++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(next, { redirect: 'manual', headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    next = new URL(response.headers.get('location') ?? '', next)
  }
  return next
}

it('signs people in through oidc-provider, the second time to the same account', async () => {
  for (const result of ['registered', 'success']) {
    const browser = openBrowser(app)
    const away = (await browser.get('/auth/login/oidc')).headers.get('location') ?? ''
    const { pathname, search, searchParams } = await walk(away)
    expect([pathname, searchParams.get('iss')]).toEqual(['/auth/callback/oidc', issuer])
    const response = await browser.get(`${pathname}${search}`)
    expect([response.status, response.headers.get('location')]).toEqual([303, '/account/devices'])
    const samples = await app.samples()
    expect(samples.get(`auth_oauth_callback_total{provider="oidc",result="${result}"}`)).toBe(1)
  }
  const [user] = await app.database.db.select().from(users).where(eq(users.email, email))
  expect(user).toMatchObject({ username: subject, fullName: 'Ada', authSource: 'oauth' })
  expect(await app.database.db.select().from(identities)).toMatchObject([
    { userId: user?.id, source: 'oidc', issuer, subject },
  ])
})

it('has oidc-provider ask again who somebody is when a client wants that, and knows when it did', async () => {
  const cookies = new Map<string, string>()
  const { client } = await addClient(app.database.db)
  const visit = async (more: Record<string, string>) => {
    const browser = openBrowser(app)
    const before = asked
    const sent = await browser.get(authorizePath(client.clientId, { scope: 'openid', ...more }))
    const login = new URL(sent.headers.get('location') ?? '', 'http://self')
    const redirect = login.searchParams.get('redirect') ?? ''
    const query = new URLSearchParams({ redirect })
    const away = (await browser.get(`/auth/login/oidc?${query}`)).headers.get('location') ?? ''
    const { pathname, search } = await walk(away, cookies)
    expect((await browser.get(`${pathname}${search}`)).headers.get('location')).toBe(redirect)
    const page = await browser.get(redirect)
    const answer = page.status === 200 ? await answerConsent(browser, page, 'approve') : page
    const response = await redeemCode(app, client.clientId, parametersOf(answer)['code'] ?? '')
    const claims = decodeJwt(((await response.json()) as { id_token: string }).id_token)
    return { asked: asked - before, authTime: claims['auth_time'] }
  }
  const start = Math.floor(Date.now() / 1000)
  expect(await visit({})).toEqual({ asked: 1, authTime: undefined })
  expect(await visit({})).toEqual({ asked: 0, authTime: undefined })
  const silent = await visit({ max_age: '600' })
  expect(silent.asked).toBe(0)
  await setTimeout(1100)
  for (const more of [{ prompt: 'login' }, { max_age: '0' }]) {
    const anew = await visit(more)
    expect(anew.asked).toBe(1)
    expect(Number(anew.authTime)).toBeGreaterThan(Number(silent.authTime))
  }
  expect(Number(silent.authTime)).toBeGreaterThanOrEqual(start)
})

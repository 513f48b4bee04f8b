import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '#/protocol/secrets.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { basicAuth, redirectUri } from '../support/client.ts'
import {
  authorizePath,
  decide,
  obtainCode,
  obtainTokens,
  parametersOf,
  postToken,
  redeemCode,
} from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { movedBetween } from '../support/prometheus.ts'
import { observe } from './refusals.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

async function setUp(more: Parameters<typeof addClient>[1] = {}) {
  const user = await addUser(app.database.db)
  const { client, secret } = await addClient(app.database.db, more)
  const browser = openBrowser(app)
  return { user, browser, clientId: client.clientId, secret: secret ?? '' }
}

const domainSeries =
  /^(oauth_|authgate_(authorization|consent|oauth_errors|client_auth)|sessions_|auth_)/

describe('the authorization code flow', () => {
  it('walks from the client through sign-in and consent to tokens, and counts each step once', async () => {
    const { user, browser, clientId } = await setUp()
    const before = await app.samples()
    const asked = await browser.get(authorizePath(clientId))
    expect(asked.status).toBe(303)
    const login = asked.headers.get('location') ?? ''
    expect(login).toMatch(/^\/login\?redirect=/)
    const back = new URLSearchParams(login.split('?')[1]).get('redirect') ?? ''
    const signedIn = await browser.submit(login, '/login', {
      username: user.username,
      password: 'correct horse battery staple',
      redirect: back,
    })
    expect([signedIn.status, signedIn.headers.get('location')]).toEqual([303, back])
    const sent = await decide(browser, back, 'approve')
    expect(sent.status).toBe(302)
    const { code = '', state, iss } = parametersOf(sent)
    expect([state, iss]).toEqual(['state-1', app.config.server.baseUrl])
    const answer = await redeemCode(app, clientId, code)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const moved = movedBetween(before, await app.samples(), domainSeries)
    delete moved['auth_login_duration_seconds_sum{method="local",result="success"}']
    expect(
      Object.fromEntries(Object.entries(moved).filter(([name]) => !/_(bucket|sum)/.test(name))),
    ).toEqual({
      'auth_attempts_total{method="local",result="success"}': 1,
      'auth_login_total{auth_source="local",result="success"}': 1,
      'auth_login_duration_seconds_count{method="local",result="success"}': 1,
      sessions_created_total: 1,
      sessions_active: 1,
      'authgate_authorization_codes_total{event="issued"}': 1,
      'authgate_authorization_codes_total{event="redeemed"}': 1,
      'authgate_consent_decisions_total{decision="approved"}': 1,
      'oauth_consent_granted_total{flow="authorization_code"}': 1,
      authgate_consents_active: 1,
      'authgate_client_authentications_total{method="none",result="success"}': 1,
      'oauth_tokens_issued_total{grant_type="authorization_code",token_type="access"}': 1,
      'oauth_tokens_issued_total{grant_type="authorization_code",token_type="refresh"}': 1,
      'oauth_tokens_issued_total{grant_type="authorization_code",token_type="id"}': 1,
      'oauth_tokens_active{token_type="access"}': 1,
      'oauth_tokens_active{token_type="refresh"}': 1,
      oauth_token_generation_duration_seconds_count: 2,
    })
  })

  it('hands out an RFC 9068 access token and an ID token that belong together', async () => {
    const { user, browser, clientId } = await setUp()
    await browser.signIn(user.username)
    const tokens = await obtainTokens(app, browser, clientId)
    expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({
      alg: 'ES256',
      typ: 'at+jwt',
    })
    const access = decodeJwt(tokens.access_token)
    expect(access).toMatchObject({
      iss: app.config.server.baseUrl,
      aud: app.config.server.baseUrl,
      sub: user.id,
      client_id: clientId,
      scope: 'openid profile email offline_access',
    })
    const id = decodeJwt(tokens.id_token)
    expect(id).toMatchObject({
      iss: app.config.server.baseUrl,
      aud: clientId,
      sub: user.id,
      nonce: 'nonce-1',
    })
    expect(id['at_hash']).toBe(
      Buffer.from(sha256(tokens.access_token), 'base64url').subarray(0, 16).toString('base64url'),
    )
    expect(id['auth_time']).toBe(access['auth_time'])
    const userinfo = await app.request('/oauth/userinfo', {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    expect(await userinfo.json()).toMatchObject({
      sub: user.id,
      email: user.email,
      name: 'Ada Example',
    })
  })

  it('sends a refusal back to the client and saves nothing', async () => {
    const { user, browser, clientId } = await setUp()
    await browser.signIn(user.username)
    const before = await app.samples()
    const denied = await decide(browser, authorizePath(clientId), 'deny')
    expect(parametersOf(denied)).toMatchObject({
      error: 'access_denied',
      state: 'state-1',
      iss: app.config.server.baseUrl,
    })
    expect(movedBetween(before, await app.samples(), domainSeries)).toEqual({
      'authgate_consent_decisions_total{decision="denied"}': 1,
      'authgate_oauth_errors_total{endpoint="/oauth/authorize",error="access_denied"}': 1,
    })
  })

  it('remembers consent for a client that can prove who it is, and asks again for more', async () => {
    const { user, browser, clientId } = await setUp({ type: 'confidential' })
    await browser.signIn(user.username)
    await decide(browser, authorizePath(clientId, { scope: 'openid' }), 'approve')
    const again = await browser.get(authorizePath(clientId, { scope: 'openid' }))
    expect([again.status, parametersOf(again)['code']?.length]).toEqual([302, 43])
    expect((await browser.get(authorizePath(clientId, { scope: 'openid email' }))).status).toBe(200)
  })

  it('gives all of several parallel returns to one remembered request the one code', async () => {
    const { user, browser, clientId } = await setUp({ type: 'confidential' })
    const login = (await browser.get(authorizePath(clientId))).headers.get('location') ?? ''
    const back = new URLSearchParams(login.split('?')[1]).get('redirect') ?? ''
    await browser.signIn(user.username)
    await decide(browser, authorizePath(clientId), 'approve')
    const { result, moved } = await observe(app, () =>
      Promise.all([1, 2, 3, 4].map(() => browser.get(back))),
    )
    expect(result.map(({ status }) => status)).toEqual([302, 302, 302, 302])
    expect(new Set(result.map((answer) => parametersOf(answer)['code'])).size).toBe(1)
    expect(moved['authgate_authorization_codes_total{event="issued"}']).toBe(1)
  })

  it('asks again each time for a public client that anybody could pose as', async () => {
    const { user, browser, clientId } = await setUp({ redirectUris: ['http://127.0.0.1/callback'] })
    await browser.signIn(user.username)
    const path = authorizePath(clientId, { redirect_uri: 'http://127.0.0.1:4711/callback' })
    expect(parametersOf(await decide(browser, path, 'approve'))['code']).toBeDefined()
    expect((await browser.get(path)).status).toBe(200)
  })

  it('answers one request once: a button that is pressed four times, on two replicas, leads to one code', async () => {
    const { user, browser, clientId } = await setUp()
    await browser.signIn(user.username)
    const html = await (await browser.get(authorizePath(clientId))).text()
    const fields = {
      csrf_token: /name="csrf_token" value="([^"]+)"/.exec(html)?.[1] ?? '',
      authorization_request: /name="authorization_request" value="([^"]+)"/.exec(html)?.[1] ?? '',
      action: 'approve',
    }
    const replica = await startTestApp({ replicaOf: app })
    const elsewhere = openBrowser(replica, { cookies: browser.cookies })
    const { result, moved } = await observe(app, () =>
      Promise.all(
        [browser, elsewhere, browser, elsewhere].map((by) => by.post('/oauth/authorize', fields)),
      ),
    )
    expect(result.map(({ status }) => status)).toEqual([302, 302, 302, 302])
    const [code = '', ...others] = new Set(result.map((sent) => parametersOf(sent)['code']))
    expect(others).toEqual([])
    const elsewhereIssued = (await replica.samples()).get(
      'authgate_authorization_codes_total{event="issued"}',
    )
    const issued = moved['authgate_authorization_codes_total{event="issued"}'] ?? 0
    expect(issued + (elsewhereIssued ?? 0)).toBe(1)
    expect((await redeemCode(app, clientId, code)).status).toBe(200)
    await replica.close()
  })

  it('authenticates a confidential client by header or body, never by both, and not without its secret', async () => {
    const { user, browser, clientId, secret } = await setUp({ type: 'confidential' })
    await browser.signIn(user.username)
    const basic = basicAuth(clientId, secret)
    const form = async (more: Record<string, string>) => ({
      grant_type: 'authorization_code',
      code: await obtainCode(browser, clientId),
      redirect_uri: redirectUri,
      code_verifier: 'v'.repeat(43),
      ...more,
    })
    expect((await postToken(app, await form({}), basic)).status).toBe(200)
    expect(
      (await postToken(app, await form({ client_id: clientId, client_secret: secret }))).status,
    ).toBe(200)
    const both = await postToken(
      app,
      await form({ client_id: clientId, client_secret: secret }),
      basic,
    )
    expect([both.status, await both.json()]).toMatchObject([400, { error: 'invalid_request' }])
    for (const wrong of [
      { client_id: clientId },
      { client_id: clientId, client_secret: 'wrong' },
    ]) {
      const refused = await postToken(app, await form(wrong))
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
        401,
        expect.stringMatching(/^Basic /),
      ])
    }
  })

  it('refreshes with rotation and notices reuse, counting grace apart from it', async () => {
    const { user, browser, clientId } = await setUp()
    await browser.signIn(user.username)
    const { refresh_token: first } = await obtainTokens(app, browser, clientId)
    const refresh = (token: string) =>
      postToken(app, { grant_type: 'refresh_token', client_id: clientId, refresh_token: token })
    const before = await app.samples()
    const { refresh_token: second } = (await (await refresh(first)).json()) as {
      refresh_token: string
    }
    const retry = (await (await refresh(first)).json()) as { refresh_token: string }
    expect(retry.refresh_token).toBe(second)
    await refresh(second)
    const reused = await refresh(first)
    expect([reused.status, await reused.json()]).toMatchObject([400, { error: 'invalid_grant' }])
    expect(movedBetween(before, await app.samples(), /^oauth_tokens/)).toEqual({
      'oauth_tokens_refreshed_total{result="success"}': 2,
      'oauth_tokens_refreshed_total{result="grace"}': 1,
      'oauth_tokens_refreshed_total{result="reuse"}': 1,
      'oauth_tokens_issued_total{grant_type="refresh_token",token_type="access"}': 3,
      'oauth_tokens_issued_total{grant_type="refresh_token",token_type="refresh"}': 2,
      'oauth_tokens_issued_total{grant_type="refresh_token",token_type="id"}': 3,
      'oauth_tokens_revoked_total{reason="rotation",token_type="refresh"}': 2,
      'oauth_tokens_revoked_total{reason="reuse",token_type="access"}': 4,
      'oauth_tokens_revoked_total{reason="reuse",token_type="refresh"}': 1,
      'oauth_tokens_active{token_type="access"}': -1,
      'oauth_tokens_active{token_type="refresh"}': -1,
    })
  })
})

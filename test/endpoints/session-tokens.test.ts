/** Access without a refresh token lasts as long as the session it came from. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { changePassword } from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import type { User } from '#/domain/users/users.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { basicAuth } from '../support/client.ts'
import { obtainCode, obtainTokens, postToken, redeemCode } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { countAudit, observe } from './refusals.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const resource = 'https://orders.example.test/'

let app: TestApp
let clientId: string
beforeAll(async () => {
  app = await startTestApp({ settings: { SESSION_IDLE_TIMEOUT: '600' } })
  clientId = (await addClient(app.database.db, { allowedResources: [resource] })).client.clientId
})
afterAll(() => app.close())

async function signIn(at = app): Promise<{ user: User; browser: Browser }> {
  const user = await addUser(at.database.db)
  const browser = openBrowser(at)
  await browser.signIn(user.username)
  return { user, browser }
}

const brief = { scope: 'openid profile' }
const accessOf = async (browser: Browser, more: Record<string, string> = brief, at = app) =>
  (await obtainTokens(at, browser, clientId, more)).access_token

async function userinfo(token: string, at = app): Promise<number> {
  const headers = { authorization: `Bearer ${token}` }
  return (await at.request('/oauth/userinfo', { headers })).status
}

const revoked = (reason: string, count: number) => ({
  [`oauth_tokens_revoked_total{reason="${reason}",token_type="access"}`]: count,
  'oauth_tokens_active{token_type="access"}': -count,
})

describe('when a session ends, what clients hold without a refresh token ends', () => {
  it('with signing out: userinfo and introspection say so, and it is counted', async () => {
    const { browser } = await signIn()
    const tokens = [await accessOf(browser), await accessOf(browser)]
    expect(await userinfo(tokens[0] ?? '')).toBe(200)
    const audited = await countAudit(app, 'LOGOUT')
    const { moved } = await observe(app, () => browser.signOut())
    expect(moved).toMatchObject({ ...revoked('user_request', 2), auth_logout_total: 1 })
    expect(await countAudit(app, 'LOGOUT')).toBe(audited + 1)
    expect(await Promise.all(tokens.map((token) => userinfo(token)))).toEqual([401, 401])
    const { client, secret = '' } = await addClient(app.database.db, {
      type: 'confidential',
      servedResources: [resource],
    })
    const body = new URLSearchParams({ token: tokens[0] ?? '' })
    const headers = basicAuth(client.clientId, secret)
    const answer = await app.request('/oauth/introspect', { method: 'POST', body, headers })
    expect(await answer.json()).toEqual({ active: false })
  })

  it('and what is for the time when its user is away does not', async () => {
    const { browser } = await signIn()
    const offline = await accessOf(browser, {})
    const { moved } = await observe(app, () => browser.signOut())
    expect(Object.keys(moved).filter((series) => series.includes('oauth_tokens'))).toEqual([])
    expect(await userinfo(offline)).toBe(200)
  })

  it('with what others were given in exchange for it', async () => {
    const { browser } = await signIn()
    const token = await accessOf(browser, { scope: 'openid profile', resource })
    const { client, secret = '' } = await addClient(app.database.db, {
      type: 'confidential',
      grantTypes: [grantType],
      redirectUris: [],
      servedResources: [resource],
    })
    const response = await postToken(app, {
      grant_type: grantType,
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      client_id: client.clientId,
      client_secret: secret,
    })
    const { access_token: exchanged } = (await response.json()) as { access_token: string }
    expect(await userinfo(exchanged)).toBe(200)
    const { moved } = await observe(app, () => browser.signOut())
    expect(moved).toMatchObject(revoked('user_request', 2))
    expect(await userinfo(exchanged)).toBe(401)
  })

  it('at the deadline that the sweeper finds to have passed', async () => {
    const { browser } = await signIn()
    const token = await accessOf(browser)
    app.advance(11 * 60_000)
    const { moved } = await observe(app, () => app.sweep())
    expect(moved).toMatchObject({
      'oauth_tokens_revoked_total{reason="user_request",token_type="access"}': expect.any(Number),
    })
    expect(await userinfo(token)).toBe(401)
  })

  it('by the hand of an administrator, who is named as the reason', async () => {
    const { user, browser } = await signIn()
    const token = await accessOf(browser)
    const admin = openBrowser(app)
    await admin.signIn((await addAdmin(app.database.db)).username)
    const { moved } = await observe(app, () =>
      admin.submit(`/admin/users/${user.id}`, `/admin/users/${user.id}/sessions/revoke-all`, {}),
    )
    expect(moved).toMatchObject(revoked('admin_request', 1))
    expect(await userinfo(token)).toBe(401)
  })

  it('with a new password, and each is counted once', async () => {
    const { user, browser } = await signIn()
    const token = await accessOf(browser)
    const by = { origin: systemOrigin, now: app.now() }
    const change = { id: user.id, passwordHash: 'x' }
    const ended = await changePassword(app.database.db, change, by)
    if (ended.result !== 'success') throw new Error(ended.result)
    const reason = 'password_changed'
    expect(ended.sessions.map(({ tokens }) => tokens)).toEqual([{ reason, access: 1, refresh: 0 }])
    expect(ended.tokens).toEqual({ reason, access: 0, refresh: 0 })
    expect(await userinfo(token)).toBe(401)
  })
})

describe('signing in again in the same browser', () => {
  it('keeps what the same user has given, until they sign out', async () => {
    const { user, browser } = await signIn()
    const token = await accessOf(browser)
    const { moved } = await observe(app, () => browser.signIn(user.username))
    expect(moved).toMatchObject({ 'sessions_expired_total{reason="replaced"}': 1 })
    expect(await userinfo(token)).toBe(200)
    await browser.signOut()
    expect(await userinfo(token)).toBe(401)
  })

  it('ends what somebody else has given', async () => {
    const { browser } = await signIn()
    const token = await accessOf(browser)
    const other = await addUser(app.database.db)
    const { moved } = await observe(app, () => browser.signIn(other.username))
    expect(moved).toMatchObject(revoked('user_request', 1))
    expect(await userinfo(token)).toBe(401)
  })
})

describe('a code', () => {
  it('is worth nothing once its session has ended, unless it is for the time after', async () => {
    const { browser } = await signIn()
    const [code, offline] = [
      await obtainCode(browser, clientId, brief),
      await obtainCode(browser, clientId),
    ]
    await browser.signOut()
    const refused = await redeemCode(app, clientId, code)
    expect([refused.status, await refused.json()]).toMatchObject([400, { error: 'invalid_grant' }])
    expect((await redeemCode(app, clientId, offline)).status).toBe(200)
  })

  it('leaves no live token behind when it is redeemed while its user signs out', async () => {
    const { browser } = await signIn()
    await accessOf(browser)
    for (let round = 0; round < 5; round += 1) {
      const user = await addUser(app.database.db)
      const one = openBrowser(app)
      await one.signIn(user.username)
      const code = await obtainCode(one, clientId, brief)
      const [response] = await Promise.all([redeemCode(app, clientId, code), one.signOut()])
      expect([200, 400]).toContain(response.status)
      if (response.status !== 200) continue
      const { access_token } = (await response.json()) as { access_token: string }
      expect(await userinfo(access_token)).toBe(401)
    }
  })
})

it('TOKENS_END_WITH_SESSION=false leaves access tokens to their own lifetime', async () => {
  const lasting = await startTestApp({
    settings: { TOKENS_END_WITH_SESSION: 'false' },
    replicaOf: app,
  })
  const { browser } = await signIn(lasting)
  const token = await accessOf(browser, brief, lasting)
  const code = await obtainCode(browser, clientId, brief)
  await browser.signOut()
  expect(await userinfo(token, lasting)).toBe(200)
  expect((await redeemCode(lasting, clientId, code)).status).toBe(200)
  await lasting.close()
})

it('SESSION_MAX_PER_USER signs the oldest browser out, and ends what it has given', async () => {
  const capped = await startTestApp({ settings: { SESSION_MAX_PER_USER: '2' }, replicaOf: app })
  const { user, browser } = await signIn(capped)
  const token = await accessOf(browser, brief, capped)
  await openBrowser(capped).signIn(user.username)
  const audited = await countAudit(capped, 'SESSION_REVOKED')
  const { moved } = await observe(capped, () => openBrowser(capped).signIn(user.username))
  expect(moved).toMatchObject({
    ...revoked('user_request', 1),
    sessions_created_total: 1,
    'sessions_expired_total{reason="revoked"}': 1,
  })
  expect(moved).not.toHaveProperty('sessions_active')
  expect(await countAudit(capped, 'SESSION_REVOKED')).toBe(audited + 1)
  expect((await browser.get('/account/devices')).status).toBe(303)
  expect(await userinfo(token, capped)).toBe(401)
  await capped.close()
})

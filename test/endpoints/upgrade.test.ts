/** What people and clients have of the release before works on: nobody is signed out, and nothing is lost. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { keepDatabaseTime } from '#/database/deadline.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { authorizePath, postToken, redeemCode } from '../support/flow.ts'
import { openOld, readOld } from '../upgrade/open-old.ts'

interface Kept {
  readonly madeAt: string
  readonly cookies: [string, string][]
  readonly clientId: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly app: { id: string; secret: string; registrationToken: string; code: string }
  readonly deviceCode: string
}

describe.each(['0003-people-more'])('a database of %s', (name) => {
  const kept = JSON.parse(readOld(`${name}.json`)) as Kept
  let app: TestApp
  let browser: Browser

  beforeAll(async () => {
    // Its codes live for a minute; the clock of the database is left alone.
    const now = Date.now()
    vi.useFakeTimers({ toFake: ['Date'], now: new Date(kept.madeAt).getTime() + 5000 })
    const database = await openOld(name)
    if (database.embedded) keepDatabaseTime(now, performance.now())
    const settings = {
      SESSION_SECRET: 'upgrade secret of at least 32 characters',
      ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
    }
    app = await startTestApp({ database, settings })
    browser = openBrowser(app, { cookies: new Map(kept.cookies) })
  })
  afterAll(async () => {
    await app?.close()
    vi.useRealTimers()
  })

  const userinfo = (token: string) =>
    app.request('/oauth/userinfo', { headers: { authorization: `Bearer ${token}` } })

  it('keeps people signed in, and counts them', async () => {
    expect((await browser.get('/account/devices')).status).toBe(200)
    expect((await app.samples()).get('sessions_active')).toBe(1)
  })

  it('keeps access tokens, whose key is still published', async () => {
    const { sub } = (await (await userinfo(kept.accessToken)).json()) as { sub: string }
    expect(sub).toMatch(/^[\w-]{36}$/)
    const { keys } = (await (await app.request('/.well-known/jwks.json')).json()) as {
      keys: { kid: string }[]
    }
    const { kid } = JSON.parse(atob(kept.accessToken.split('.')[0] ?? '')) as { kid: string }
    expect(keys.map((key) => key.kid)).toContain(kid)
  })

  it('keeps refresh tokens, and their families', async () => {
    const refresh = (refresh_token: string) =>
      postToken(app, { grant_type: 'refresh_token', client_id: kept.clientId, refresh_token })
    const first = await refresh(kept.refreshToken)
    expect(first.status).toBe(200)
    const { refresh_token, access_token } = (await first.json()) as Record<string, string>
    expect((await userinfo(access_token ?? '')).status).toBe(200)
    expect((await refresh(refresh_token ?? '')).status).toBe(200)
  })

  it('keeps codes that nobody has redeemed yet, clients, and their secrets', async () => {
    const { id, secret, code, registrationToken } = kept.app
    const redeemed = await redeemCode(app, id, code, { client_secret: secret })
    expect(redeemed.status).toBe(200)
    const managed = await app.request(`/oauth/register/${id}`, {
      headers: { authorization: `Bearer ${registrationToken}` },
    })
    expect(await managed.json()).toMatchObject({ client_id: id })
  })

  it('keeps devices that were let in', async () => {
    const answer = await postToken(app, {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: kept.clientId,
      device_code: kept.deviceCode,
    })
    expect(answer.status).toBe(200)
  })

  it('asks nobody again for a consent that was given', async () => {
    const path = authorizePath(kept.app.id, { scope: 'openid profile' })
    expect((await browser.get(path)).headers.get('location')).toMatch(/\?code=/)
  })
})

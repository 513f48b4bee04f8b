import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { obtainTokens } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'

let on: TestApp
let off: TestApp
beforeAll(async () => {
  on = await startTestApp()
  off = await startTestApp({ replicaOf: on, settings: { METRICS_ENABLED: 'false' } })
})
afterAll(async () => {
  await off.close()
  await on.close()
})

describe('the public port', () => {
  it.each(['/metrics', '/metrics/', '/metrics?x=1', '/METRICS', '//metrics'])(
    'answers %s with 404, metrics on or off',
    async (path) => {
      for (const app of [on, off]) {
        const response = await app.request(path, { headers: { authorization: 'Bearer x' } })
        expect(response.status).toBe(404)
        expect(await response.text()).not.toContain('authgate_')
      }
    },
  )
})

describe('METRICS_ENABLED=false', () => {
  it('records nothing, while the whole flow works', async () => {
    const user = await addUser(off.database.db)
    const { client } = await addClient(off.database.db)
    const browser = openBrowser(off)
    expect((await browser.signIn(user.username, { password: 'wrong' })).status).toBe(401)
    expect((await browser.signIn(user.username)).status).toBe(303)
    const { access_token } = await obtainTokens(off, browser, client.clientId)
    const userinfo = await off.request('/oauth/userinfo', {
      headers: { authorization: `Bearer ${access_token}` },
    })
    expect(await userinfo.json()).toMatchObject({ sub: user.id })
    expect((await browser.signOut()).status).toBe(303)
    expect((await off.samples()).size).toBe(0)
  })

  it('is what makes the difference: the same app with metrics on has series', async () => {
    expect((await on.samples()).size).toBeGreaterThan(100)
  })
})

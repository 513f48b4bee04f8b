/** Two replicas whose clocks are apart (docs/decisions/0034): what one dates and the other judges. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { logoutDeliveries } from '#/database/schema/logout-deliveries.ts'
import { deliverDueLogouts } from '#/domain/logout-deliveries/deliver.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { agePoll } from '../support/database-time.ts'
import {
  answerDevice,
  authorizePath,
  obtainCode,
  obtainTokens,
  postToken,
  redeemCode,
} from '../support/flow.ts'
import { addClient, addUser, testPassword } from '../support/people.ts'

let behind: TestApp
let ahead: TestApp
beforeAll(async () => {
  behind = await startTestApp()
  ahead = await startTestApp({ replicaOf: behind })
  ahead.advance(5000)
})
afterAll(async () => {
  await ahead.close()
  await behind.close()
})

const eachOrder = describe.each([
  ['the one ahead, then the one behind', () => [ahead, behind] as const],
  ['the one behind, then the one ahead', () => [behind, ahead] as const],
])

eachOrder('%s', (_, replicas) => {
  /** One browser, which a balancer sends to either. */
  async function signedIn() {
    const [first, second] = replicas()
    const { username } = await addUser(first.database.db)
    const atFirst = openBrowser(first)
    await atFirst.signIn(username)
    return { username, atFirst, atSecond: openBrowser(second, { cookies: atFirst.cookies }) }
  }
  const newClient = async (more: Parameters<typeof addClient>[1] = {}) =>
    (await addClient(behind.database.db, more)).client.clientId

  it('takes a session, a code and a refresh token of the other', async () => {
    const [first, second] = replicas()
    const clientId = await newClient()
    const { atFirst, atSecond } = await signedIn()
    expect((await atSecond.get('/account/devices')).status).toBe(200)
    const issued = await redeemCode(second, clientId, await obtainCode(atFirst, clientId))
    expect(issued.status).toBe(200)
    const { refresh_token } = await obtainTokens(first, atFirst, clientId)
    const refresh = { grant_type: 'refresh_token', client_id: clientId, refresh_token }
    const rotated = (await (await postToken(first, refresh)).json()) as { refresh_token: string }
    // A retry of a client that has not heard the answer.
    expect(await (await postToken(second, refresh)).json()).toMatchObject({
      refresh_token: rotated.refresh_token,
    })
  })

  it('asks once to sign in again', async () => {
    const clientId = await newClient()
    const { username, atFirst, atSecond } = await signedIn()
    const asked = await atFirst.get(authorizePath(clientId, { prompt: 'login' }))
    const login = asked.headers.get('location') ?? ''
    expect(login).toMatch(/^\/login\?/)
    const redirect = new URL(login, 'http://self.invalid').searchParams.get('redirect') ?? ''
    const page = await (await atSecond.get(login)).text()
    const entered = await atSecond.post('/login', {
      csrf_token: csrfTokenOf(page),
      submission: hiddenField(page, 'submission'),
      redirect,
      username,
      password: testPassword,
    })
    expect(entered.status).toBe(303)
    const back = await atFirst.get(redirect)
    expect([back.status, back.headers.get('location')]).toEqual([200, null])
  })

  it('slows no device down that polls as often as it may', async () => {
    const [first, second] = replicas()
    const client_id = await newClient({ grantTypes: [deviceCodeGrantType] })
    const asked = await first.request('/oauth/device/code', {
      method: 'POST',
      body: new URLSearchParams({ client_id, scope: 'openid' }),
    })
    const { device_code = '', user_code = '' } = (await asked.json()) as Record<string, string>
    const poll = async (replica: TestApp) => {
      const form = { grant_type: deviceCodeGrantType, client_id, device_code }
      const answer = await (await postToken(replica, form)).json()
      await agePoll(replica.database.db, device_code, 5000)
      return (answer as { error?: string }).error ?? 'success'
    }
    for (const replica of [first, second, first, second])
      expect(await poll(replica)).toBe('authorization_pending')
    await answerDevice((await signedIn()).atSecond, user_code, 'approve')
    expect(await poll(first)).toBe('success')
  })
})

describe('logout tokens', () => {
  it('are due at once wherever they were queued, and sent by one replica at a time', async () => {
    const { db } = behind.database
    const uri = 'https://app.example.test/logout'
    const clientId = (await addClient(db, { backchannelLogoutUri: uri })).client.clientId
    const browser = openBrowser(ahead)
    await browser.signIn((await addUser(db)).username)
    await obtainTokens(ahead, browser, clientId)
    await browser.signOut()
    const muchAhead = new Date(Date.now() + 60_000)
    const deliver = (clock: () => Date, answer: Promise<void>) =>
      deliverDueLogouts(db, {
        recorder: behind.recorder,
        issuer: behind.config.server.baseUrl,
        keys: behind.keys,
        clock,
        async fetchDocument() {
          await answer
          return { text: '', contentType: undefined }
        },
      })
    const answered = Promise.withResolvers<void>()
    const first = deliver(behind.now, answered.promise)
    await expect.poll(() => attempts(db)).toEqual([1])
    expect(await deliver(() => muchAhead, Promise.resolve())).toBe(0)
    answered.resolve()
    expect(await first).toBe(1)
  })
})

const attempts = async (db: TestApp['database']['db']) =>
  (await db.select({ attempts: logoutDeliveries.attempts }).from(logoutDeliveries)).map(
    (row) => row.attempts,
  )

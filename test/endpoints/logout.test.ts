/** OIDC RP-Initiated Logout 1.0, and who hears of the end of a session (Back-Channel Logout 1.0). */
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { deliverDueLogouts } from '#/domain/logout-deliveries/deliver.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { ageDeliveries } from '../support/database-time.ts'
import { obtainTokens } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { observe, observeUnchanged, stateOf } from './refusals.ts'

let app: TestApp
let browser: Browser
let userId: string
let username: string
let clientId: string
let idToken: string

const goodbye = 'https://app.example.test/goodbye'
const backchannelLogoutUri = 'https://app.example.test/backchannel-logout'

beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

beforeEach(async () => {
  await deliver()
  const user = await addUser(app.database.db)
  userId = user.id
  username = user.username
  browser = openBrowser(app)
  await browser.signIn(username)
  const { client } = await addClient(app.database.db, {
    postLogoutRedirectUris: [goodbye, 'https://app.example.test/bye?tenant=a'],
    backchannelLogoutUri,
  })
  clientId = client.clientId
  idToken = (await obtainTokens(app, browser, clientId)).id_token
})

const logoutPath = (parameters: Record<string, string>) =>
  `/oauth/logout?${new URLSearchParams(parameters)}`

const ended = {
  'sessions_expired_total{reason="logout"}': 1,
  auth_logout_total: 1,
  sessions_active: -1,
}

interface Sent {
  readonly url: string
  readonly token: string
}

/** Delivers what is due through a post office of the test's own. */
async function deliver(answer: (sent: Sent) => void = () => {}) {
  const sent: Sent[] = []
  const options = {
    recorder: app.recorder,
    issuer: app.config.server.baseUrl,
    keys: app.keys,
    clock: app.now,
    fetchDocument: async ({
      url,
      form,
    }: {
      url: string
      form?: Readonly<Record<string, string>>
    }) => {
      const letter = { url, token: form?.['logout_token'] ?? '' }
      sent.push(letter)
      answer(letter)
      return { text: '', contentType: undefined }
    },
  }
  while ((await deliverDueLogouts(app.database.db, options)) > 0);
  return sent
}

describe('GET /oauth/logout', () => {
  it('ends the session that the hint is of, without a question, and leads back with the state', async () => {
    const { result, moved } = await observe(app, () =>
      browser.get(
        logoutPath({ id_token_hint: idToken, post_logout_redirect_uri: goodbye, state: 'a b&c' }),
      ),
    )
    expect(result.status).toBe(303)
    expect(result.headers.get('location')).toBe(`${goodbye}?state=a+b%26c`)
    expect(moved).toMatchObject(ended)
    expect((await browser.get('/account/devices')).headers.get('location')).toMatch(/^\/login/)
  })

  it('keeps the query of the registered address', async () => {
    const answer = await browser.get(
      logoutPath({
        id_token_hint: idToken,
        post_logout_redirect_uri: 'https://app.example.test/bye?tenant=a',
        state: 's',
      }),
    )
    expect(answer.headers.get('location')).toBe('https://app.example.test/bye?tenant=a&state=s')
  })

  it('takes a hint that has expired', async () => {
    app.advance(2 * 3_600_000)
    const user = await addUser(app.database.db)
    const other = openBrowser(app)
    await other.signIn(user.username)
    const { id_token } = await obtainTokens(app, other, clientId)
    const answer = await other.get(
      logoutPath({ id_token_hint: id_token, post_logout_redirect_uri: goodbye }),
    )
    expect(answer.headers.get('location')).toBe(goodbye)
  })

  it.each([
    ['no parameters', () => ({})],
    ['a client but no hint', () => ({ client_id: clientId, post_logout_redirect_uri: goodbye })],
    ['only a state', () => ({ state: 'x' })],
  ])('asks first when there is %s, and changes nothing until then', async (_, parameters) => {
    const { result, moved } = await observeUnchanged(app, () =>
      browser.get(logoutPath(parameters())),
    )
    expect(result.status).toBe(200)
    expect(await result.text()).toContain('Sign out?')
    expect(moved).toEqual({})
  })

  it('asks when the hint is of another session, since any site could send it here', async () => {
    const elsewhere = openBrowser(app)
    const user = await addUser(app.database.db)
    await elsewhere.signIn(user.username)
    const { result, moved } = await observeUnchanged(app, () =>
      elsewhere.get(logoutPath({ id_token_hint: idToken, post_logout_redirect_uri: goodbye })),
    )
    expect(await result.text()).toContain('Sign out?')
    expect(moved).toEqual({})
  })

  it('still knows the session by the name it had before its user signed in again', async () => {
    await browser.signIn(username)
    const answer = await browser.get(
      logoutPath({ id_token_hint: idToken, post_logout_redirect_uri: goodbye }),
    )
    expect(answer.headers.get('location')).toBe(goodbye)
    expect((await deliver()).map(({ token }) => decodeJwt(token)['sid'])).toEqual([
      decodeJwt(idToken)['sid'],
    ])
  })

  it('leads on a browser that is not signed in, and counts nothing', async () => {
    const { result, moved } = await observeUnchanged(app, () =>
      openBrowser(app).get(
        logoutPath({ id_token_hint: idToken, post_logout_redirect_uri: goodbye, state: 's' }),
      ),
    )
    expect(result.headers.get('location')).toBe(`${goodbye}?state=s`)
    expect(moved).toEqual({})
  })

  it.each([
    [
      'an address that is not registered',
      () => ({ id_token_hint: idToken, post_logout_redirect_uri: 'https://evil.example/' }),
    ],
    [
      'a registered address with more to it',
      () => ({ id_token_hint: idToken, post_logout_redirect_uri: `${goodbye}?foo=bar` }),
    ],
    ['an address and nobody whose it could be', () => ({ post_logout_redirect_uri: goodbye })],
    ['a hint that is no token', () => ({ id_token_hint: 'x', post_logout_redirect_uri: goodbye })],
    [
      'a hint that was changed',
      () => ({ id_token_hint: changed(idToken), post_logout_redirect_uri: goodbye }),
    ],
    [
      'a client that waits for approval',
      async () => ({ client_id: await addInactive('pending'), post_logout_redirect_uri: goodbye }),
    ],
    [
      'a client that was disabled',
      async () => ({ client_id: await addInactive('inactive'), post_logout_redirect_uri: goodbye }),
    ],
    ['two clients', () => ({ id_token_hint: idToken, client_id: 'another' })],
  ])('refuses %s with a page, never a redirect, and keeps the session', async (_, parameters) => {
    const asked = logoutPath(await parameters())
    const { result, moved } = await observeUnchanged(app, () => browser.get(asked))
    expect(result.status).toBe(400)
    expect(result.headers.get('location')).toBeNull()
    expect(await result.text()).toContain('You are still signed in')
    expect(moved).toEqual({})
  })

  it('refuses an access token as a hint, and a repeated parameter', async () => {
    const { access_token } = await obtainTokens(app, browser, clientId)
    expect((await browser.get(logoutPath({ id_token_hint: access_token }))).status).toBe(400)
    expect((await browser.get('/oauth/logout?state=a&state=b')).status).toBe(400)
  })
})

describe('POST /oauth/logout', () => {
  it('comes back as a GET, with which the cookie comes', async () => {
    const answer = await browser.post('/oauth/logout', { id_token_hint: idToken, state: 's' })
    expect(answer.status).toBe(303)
    const location = answer.headers.get('location') ?? ''
    expect(new URL(location, app.config.server.baseUrl).pathname).toBe('/oauth/logout')
    const { result, moved } = await observe(app, () => browser.get(location))
    expect(await result.text()).toContain('You are signed out')
    expect(moved).toMatchObject(ended)
  })

  it('takes along what the endpoint reads, and nothing else', async () => {
    const answer = await browser.post('/oauth/logout', { state: 's', device_code: 'a secret' })
    expect(answer.headers.get('location')).toBe('/oauth/logout?state=s')
  })
})

describe('the question', () => {
  const fields = () => ({ client_id: clientId, post_logout_redirect_uri: goodbye, state: 's' })

  async function answer(action: string, more: Record<string, string> = {}) {
    const html = await (await browser.get(logoutPath(fields()))).text()
    expect(hiddenField(html, 'post_logout_redirect_uri')).toBe(goodbye)
    return browser.post('/oauth/logout/answer', {
      csrf_token: csrfTokenOf(html),
      ...fields(),
      action,
      ...more,
    })
  }

  it('ends the session and leads back when the answer is yes', async () => {
    const { result, moved } = await observe(app, () => answer('sign_out'))
    expect(result.headers.get('location')).toBe(`${goodbye}?state=s`)
    expect(moved).toMatchObject(ended)
  })

  it('keeps the session when the answer is no', async () => {
    const { result, moved } = await observeUnchanged(app, () => answer('stay'))
    expect(result.headers.get('location')).toBe('/')
    expect(moved).toEqual({})
  })

  it('asks again after an answer without our token, and refuses one that leads elsewhere', async () => {
    const before = await stateOf(app)
    const outdated = await answer('sign_out', { csrf_token: 'x' })
    expect([outdated.status, outdated.headers.get('location')]).toEqual([
      303,
      expect.stringMatching(/^\/oauth\/logout(\?|$)/),
    ])
    expect(
      (await answer('sign_out', { post_logout_redirect_uri: 'https://evil.example/' })).status,
    ).toBe(400)
    expect(await stateOf(app)).toEqual(before)
  })
})

describe('back-channel logout', () => {
  it('tells each client of the session, once, with a logout token', async () => {
    await obtainTokens(app, browser, clientId)
    await browser.signOut()
    const { result: sent, moved } = await observe(app, () => deliver())
    expect(sent.map(({ url }) => url)).toEqual([backchannelLogoutUri])
    const token = sent[0]?.token ?? ''
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'logout+jwt', alg: 'ES256' })
    const claims = decodeJwt(token)
    expect(claims).toMatchObject({
      iss: app.config.server.baseUrl,
      aud: clientId,
      sub: userId,
      sid: decodeJwt(idToken)['sid'],
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    })
    expect(claims).not.toHaveProperty('nonce')
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(120)
    expect(moved).toEqual({
      'authgate_logout_deliveries_total{result="delivered"}': 1,
      authgate_logout_deliveries_pending: -1,
    })
    expect(await deliver()).toEqual([])
  })

  it.each([
    ['an operator disables the account', 'disable'],
    ['an operator resets the password', 'reset-password'],
  ])('tells the clients when %s', async (_, verb) => {
    const admin = openBrowser(app)
    await admin.signIn((await addAdmin(app.database.db)).username)
    await admin.submit('/admin/users', `/admin/users/${userId}/${verb}`)
    expect(await deliver()).toHaveLength(1)
  })

  it('tells nobody of a session that lapsed, or that had told nobody', async () => {
    const quiet = openBrowser(app)
    await quiet.signIn((await addUser(app.database.db)).username)
    await quiet.signOut()
    app.advance(31 * 60_000)
    await browser.get('/account/devices')
    expect(await deliver()).toEqual([])
  })

  it('tells the clients when somebody else signs in in the same browser', async () => {
    await browser.signIn((await addUser(app.database.db)).username)
    expect(await deliver()).toHaveLength(1)
  })

  it('tries again later, with the same jti, and gives up in the end', async () => {
    await browser.signOut()
    const failed: Sent[] = []
    const fail = (sent: Sent) => {
      failed.push(sent)
      throw new Error('out of reach')
    }
    const { moved } = await observe(app, async () => {
      await deliver(fail)
      await deliver(fail)
      for (const seconds of [10, 30, 120, 600, 3600]) {
        await ageDeliveries(app.database.db, (seconds + 1) * 1000)
        await deliver(fail)
      }
    })
    expect(moved).toMatchObject({
      'authgate_logout_deliveries_total{result="retried"}': 5,
      'authgate_logout_deliveries_total{result="given_up"}': 1,
      authgate_logout_deliveries_pending: -1,
    })
    expect(failed).toHaveLength(6)
    expect(new Set(failed.map(({ token }) => decodeJwt(token).jti)).size).toBe(1)
    await ageDeliveries(app.database.db, 7_200_000)
    expect(await deliver(fail)).toEqual([])
  })

  it('is shared by replicas: each letter is sent by one of them', async () => {
    await browser.signOut()
    const letters = (await Promise.all([deliver(), deliver(), deliver()])).flat()
    expect(letters).toHaveLength(1)
  })
})

async function addInactive(status: 'pending' | 'inactive'): Promise<string> {
  const { client } = await addClient(app.database.db, { status, postLogoutRedirectUris: [goodbye] })
  return client.clientId
}

function changed(token: string): string {
  const [header, , signature] = token.split('.')
  const claims = { ...decodeJwt(token), sub: 'somebody else' }
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}

import { eq } from 'drizzle-orm'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { basicAuth } from '../support/client.ts'
import { agePoll } from '../support/database-time.ts'
import { addDeviceClient } from '../support/devices.ts'
import { postToken } from '../support/flow.ts'
import { addUser } from '../support/people.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let clientId: string
let confidential: { id: string; secret: string }
beforeAll(async () => {
  app = await startTestApp()
  clientId = (await addDeviceClient(app.database.db)).client.clientId
  const { client, secret = '' } = await addDeviceClient(app.database.db, {
    type: 'confidential',
    allowedResources: ['https://api.example.test/'],
  })
  confidential = { id: client.clientId, secret }
})
afterAll(() => app.close())

const form = 'application/x-www-form-urlencoded'
const by = () => ({ origin: systemOrigin, now: app.now() })

async function signedIn() {
  const user = await addUser(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  return { user, browser }
}

const send = (body: string, headers: Record<string, string> = {}) =>
  app.request('/oauth/device/code', {
    method: 'POST',
    body,
    headers: { 'content-type': form, ...headers },
  })

interface Tokens {
  access_token: string
  refresh_token: string
  id_token: string
}

interface Asked {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  expires_in: number
  interval: number
}

const jsonOf = async <T>(response: Response) => (await response.json()) as T

const ask = async (more: Record<string, string> = {}): Promise<Asked> =>
  jsonOf(await send(new URLSearchParams({ client_id: clientId, ...more }).toString()))

const poll = (device_code: string, more: Record<string, string> = {}) =>
  postToken(app, { grant_type: deviceCodeGrantType, client_id: clientId, device_code, ...more })

/** Types the code; the page that follows. */
const enter = (browser: Browser, user_code: string) =>
  browser.submit('/device', '/device/verify', { user_code })

/** Opens the page that asks, and answers it later. */
async function open(browser: Browser, userCode: string) {
  const page = await (await enter(browser, userCode)).text()
  const fields = {
    csrf_token: csrfTokenOf(page),
    request: hiddenField(page, 'request'),
    user_code: hiddenField(page, 'user_code'),
  }
  return {
    page,
    fields,
    answer: (action: 'approve' | 'deny') => browser.post('/device/decide', { ...fields, action }),
  }
}

const rowOf = async (deviceCode: string) =>
  (
    await app.database.db
      .select()
      .from(deviceCodes)
      .where(eq(deviceCodes.deviceCodeHash, sha256(deviceCode)))
  )[0]

const deviceError = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/device/code",error="${error}"}`]: 1,
  'oauth_device_codes_total{result="error"}': 1,
})
const tokenError = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/token",error="${error}"}`]: 1,
})
const authenticated = (method: string, result = 'success') => ({
  [`authgate_client_authentications_total{method="${method}",result="${result}"}`]: 1,
})
const publicOk = authenticated('none')
const polled = (result: string) => ({
  [`oauth_device_code_validation_total{result="${result}"}`]: 1,
})
const entered = (result: string) => ({
  [`authgate_device_codes_entered_total{result="${result}"}`]: 1,
})
const ended = (result: string, n = 1) => ({
  [`authgate_device_codes_ended_total{result="${result}"}`]: n,
})

async function expectError(response: Response, status: number, error: string) {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toMatch(/^application\/json/)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.json()).toEqual({
    error,
    error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5B\x5D-\x7E]{1,100}$/),
  })
}

describe('the device grant', () => {
  it('walks from the device through its user to the tokens, and counts each step once', async () => {
    const { user, browser } = await signedIn()
    const asked = await observe(app, () => ask({ scope: 'openid email offline_access' }))
    expect(asked.result).toEqual({
      device_code: expect.stringMatching(/^[\w-]{43}$/),
      user_code: expect.stringMatching(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/),
      verification_uri: `${app.config.server.baseUrl}/device`,
      verification_uri_complete: `${app.config.server.baseUrl}/device?user_code=${asked.result.user_code}`,
      expires_in: 1800,
      interval: 5,
    })
    expect(asked.moved).toEqual({
      'oauth_device_codes_total{result="success"}': 1,
      oauth_device_codes_active: 1,
      oauth_device_codes_pending_authorization: 1,
      ...publicOk,
    })

    const waited = await observe(app, () => poll(asked.result.device_code))
    await expectError(waited.result, 400, 'authorization_pending')
    expect(waited.moved).toEqual({
      ...polled('pending'),
      ...tokenError('authorization_pending'),
      ...publicOk,
    })

    app.advance(90_000)
    const typed = asked.result.user_code.toLowerCase().replace('-', ' ')
    const opened = await observe(app, () => open(browser, ` ${typed}`))
    expect(opened.moved).toEqual(entered('found'))

    const approved = await observe(app, () => opened.result.answer('approve'))
    expect(approved.result.status).toBe(200)
    expect(await approved.result.text()).toContain('Test app is connected')
    expect(approved.moved).toEqual({
      oauth_device_codes_authorized_total: 1,
      oauth_device_codes_pending_authorization: -1,
      'oauth_consent_granted_total{flow="device_code"}': 1,
      authgate_consents_active: 1,
    })

    const redeemed = await observe(app, () => poll(asked.result.device_code))
    expect(redeemed.result.status).toBe(200)
    expect(redeemed.result.headers.get('cache-control')).toBe('no-store')
    const issued = (token_type: string) => ({
      [`oauth_tokens_issued_total{grant_type="${deviceCodeGrantType}",token_type="${token_type}"}`]: 1,
    })
    expect(redeemed.moved).toEqual({
      ...polled('success'),
      ...ended('redeemed'),
      ...publicOk,
      ...issued('access'),
      ...issued('refresh'),
      ...issued('id'),
      oauth_device_codes_active: -1,
      'oauth_tokens_active{token_type="access"}': 1,
      'oauth_tokens_active{token_type="refresh"}': 1,
    })
    const tokens = await jsonOf<Tokens>(redeemed.result)
    expect(tokens).toMatchObject({ token_type: 'Bearer', scope: 'openid email offline_access' })
    const id = decodeJwt(tokens.id_token)
    const row = await rowOf(asked.result.device_code)
    expect(id).toMatchObject({
      sub: user.id,
      aud: clientId,
      amr: ['pwd'],
      auth_time: Math.floor((row?.authTime?.getTime() ?? 0) / 1000),
    })
    expect(Object.keys(id)).not.toContain('nonce')
    expect(Object.keys(id)).not.toContain('sid')
    const userinfo = await app.request('/oauth/userinfo', {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    expect(await userinfo.json()).toMatchObject({ sub: user.id, email: user.email })
    const refreshed = await postToken(app, {
      grant_type: 'refresh_token',
      client_id: clientId,
      refresh_token: tokens.refresh_token,
    })
    expect(refreshed.status).toBe(200)
    expect(await countAudit(app, 'DEVICE_CODE_EXCHANGED')).toBe(1)
  })

  it('times the approval from the request on, in buckets up to half an hour', async () => {
    const { browser } = await signedIn()
    const { user_code } = await ask()
    const before = await app.samples()
    app.advance(150_000)
    await (await open(browser, user_code)).answer('approve')
    const samples = await app.samples()
    const grown = (le: string) => {
      const series = `oauth_device_code_authorization_duration_seconds_bucket{le="${le}"}`
      return Number(samples.get(series)) - Number(before.get(series) ?? 0)
    }
    expect([grown('120'), grown('300'), grown('1800')]).toEqual([0, 1, 1])
  })

  it('gives one of fifty parallel requests the tokens and tells the others that there are none', async () => {
    const { browser } = await signedIn()
    const { device_code, user_code } = await ask()
    await (await open(browser, user_code)).answer('approve')
    const { result, moved } = await observe(app, () =>
      Promise.all(Array.from({ length: 50 }, () => poll(device_code))),
    )
    const answers = await Promise.all(
      result.map((response) => jsonOf<Partial<Tokens> & { error?: string }>(response)),
    )
    expect(answers.filter(({ access_token }) => access_token)).toHaveLength(1)
    expect(answers.filter(({ error }) => error === 'invalid_grant')).toHaveLength(49)
    expect(moved).toMatchObject({
      'oauth_device_code_validation_total{result="success"}': 1,
      'oauth_device_code_validation_total{result="invalid"}': 49,
      ...ended('redeemed'),
    })
  })

  it('expires unanswered: the device is told so, again and again, and the sweeper counts it once', async () => {
    const { device_code } = await ask()
    app.advance(31 * 60_000)
    const late = await observe(app, () => poll(device_code))
    await expectError(late.result, 400, 'expired_token')
    expect(late.moved).toEqual({
      ...polled('expired'),
      ...tokenError('expired_token'),
      ...publicOk,
    })
    const swept = await observe(app, () => app.sweep())
    expect(swept.moved).toMatchObject(ended('expired', await countStatus('expired')))
    expect((await observe(app, () => app.sweep())).moved).toEqual({})
    await expectError(await poll(device_code), 400, 'expired_token')
  })
})

async function countStatus(status: 'expired' | 'pending'): Promise<number> {
  const { db } = app.database
  return (await db.select().from(deviceCodes).where(eq(deviceCodes.status, status))).length
}

describe('POST /oauth/device/code', () => {
  const id = () => `client_id=${clientId}`
  const secret = () => `client_id=${confidential.id}&client_secret=${confidential.secret}`
  type Case = [string, () => string, number, string, Record<string, number>]
  const cases: Case[] = [
    ['an empty body', () => '', 400, 'invalid_request', {}],
    ['an empty client_id', () => 'client_id=', 400, 'invalid_request', {}],
    ['a repeated client_id', () => `${id()}&${id()}`, 400, 'invalid_request', {}],
    ['a repeated scope', () => `${id()}&scope=openid&scope=email`, 400, 'invalid_request', {}],
    ['a NUL', () => `${id()}&scope=%00`, 400, 'invalid_request', {}],
    [
      'a client that does not exist',
      () => 'client_id=nobody',
      401,
      'invalid_client',
      authenticated('none', 'failure'),
    ],
    [
      'a confidential client without its secret',
      () => `client_id=${confidential.id}`,
      401,
      'invalid_client',
      authenticated('none', 'failure'),
    ],
    [
      'a wrong secret',
      () => `client_id=${confidential.id}&client_secret=guessed`,
      401,
      'invalid_client',
      authenticated('client_secret_post', 'failure'),
    ],
    [
      'a secret of a public client',
      () => `${id()}&client_secret=x`,
      401,
      'invalid_client',
      authenticated('client_secret_post', 'failure'),
    ],
    ['a scope beyond the client’s', () => `${id()}&scope=admin`, 400, 'invalid_scope', publicOk],
    ['a malformed scope', () => `${id()}&scope=open"id`, 400, 'invalid_scope', publicOk],
    ['a scope of spaces', () => `${id()}&scope=+`, 400, 'invalid_scope', publicOk],
    [
      'a resource that is not allowed',
      () => `${id()}&resource=https://api.example.test/`,
      400,
      'invalid_target',
      publicOk,
    ],
    [
      'one allowed resource and one that is not',
      () => `${secret()}&resource=https://api.example.test/&resource=https://else.example.test/`,
      400,
      'invalid_target',
      authenticated('client_secret_post'),
    ],
    [
      'a resource that is no URI',
      () => `${secret()}&resource=api`,
      400,
      'invalid_target',
      authenticated('client_secret_post'),
    ],
  ]
  it.each(cases)('refuses %s and issues nothing', async (_, body, status, error, more) => {
    const { result, moved } = await observeUnchanged(app, () => send(body()))
    await expectError(result, status, error)
    expect(result.headers.has('www-authenticate')).toBe(status === 401)
    expect(moved).toEqual({ ...deviceError(error), ...more })
  })

  it('refuses two ways of authentication at once', async () => {
    const { result, moved } = await observeUnchanged(app, () =>
      send(secret(), basicAuth(confidential.id, confidential.secret)),
    )
    await expectError(result, 400, 'invalid_request')
    expect(moved).toEqual(deviceError('invalid_request'))
  })

  it.each(['application/json', 'multipart/form-data; boundary=x', 'text/plain'])(
    'refuses the content type %s',
    async (type) => {
      const { result, moved } = await observeUnchanged(app, () =>
        send(id(), { 'content-type': type }),
      )
      await expectError(result, 400, 'invalid_request')
      expect(moved).toEqual(deviceError('invalid_request'))
    },
  )

  it('refuses a client that is switched off, and one that may not use the grant', async () => {
    const { db } = app.database
    const off = await addDeviceClient(db)
    await setClientStatus(db, { clientId: off.client.clientId, status: 'inactive' }, by())
    const without = await addDeviceClient(db, { grantTypes: ['authorization_code'] })
    for (const [client, status, error] of [
      [off.client, 401, 'invalid_client'],
      [without.client, 400, 'unauthorized_client'],
    ] as const) {
      const { result, moved } = await observeUnchanged(app, () =>
        send(`client_id=${client.clientId}`),
      )
      await expectError(result, status, error)
      expect(moved).toMatchObject(deviceError(error))
    }
  })

  it('refuses 65 KiB and other methods', async () => {
    const { result, moved } = await observeUnchanged(app, () =>
      send(`${id()}&scope=${'x'.repeat(65 * 1024)}`),
    )
    expect([result.status, moved]).toEqual([413, {}])
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const response = await app.request('/oauth/device/code', { method })
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
    }
  })

  it.each<[string, () => Promise<Response>]>([
    ['in the header', () => send('', basicAuth(confidential.id, confidential.secret))],
    ['in the body', () => send(secret())],
  ])('takes the secret of a confidential client %s', async (_, request) => {
    const response = await request()
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const row = await rowOf((await jsonOf<Asked>(response)).device_code)
    expect(row).toMatchObject({ clientId: confidential.id, status: 'pending', resources: [] })
  })

  it('grants the client’s whole scope where none is named, and remembers resources and origin', async () => {
    const asked = await send(`${secret()}&resource=https://api.example.test/&scope=`, {
      'user-agent': 'curl/8.14.1 Totally Your Bank',
    })
    const row = await rowOf((await jsonOf<Asked>(asked)).device_code)
    expect(row).toMatchObject({
      scope: 'openid profile email offline_access',
      resources: ['https://api.example.test/'],
      ip: '192.0.2.10',
      requester: 'curl',
    })
  })

  it('is where discovery says it is', async () => {
    for (const name of ['openid-configuration', 'oauth-authorization-server']) {
      const metadata = await (await app.request(`/.well-known/${name}`)).json()
      expect(metadata).toMatchObject({
        device_authorization_endpoint: `${app.config.server.baseUrl}/oauth/device/code`,
        grant_types_supported: expect.arrayContaining([deviceCodeGrantType]),
      })
    }
  })
})

describe('GET /device', () => {
  it('sends whoever is not signed in to the sign-in page, and back with the code', async () => {
    const { user_code, verification_uri_complete } = await ask()
    const browser = openBrowser(app)
    const path = verification_uri_complete.slice(app.config.server.baseUrl.length)
    const sent = await browser.get(path)
    expect(sent.status).toBe(303)
    const redirect = new URL(sent.headers.get('location') ?? '', 'http://self').searchParams.get(
      'redirect',
    )
    expect(redirect).toBe(path)
    const user = await addUser(app.database.db)
    const back = await browser.signIn(user.username, { redirect: redirect ?? '' })
    expect(back.headers.get('location')).toBe(path)
    expect(await (await browser.get(path)).text()).toContain(`value="${user_code}"`)
  })

  it('fills in what looks like a code, and nothing else; it looks up neither', async () => {
    const { browser } = await signedIn()
    const { user_code } = await ask()
    const { result, moved } = await observeUnchanged(app, async () => ({
      known: await (await browser.get(`/device?user_code=${user_code}`)).text(),
      unknown: await (await browser.get('/device?user_code=bcdfghjk')).text(),
      hostile: await (await browser.get('/device?user_code="><script>alert(1)</script>')).text(),
    }))
    expect(result.known).toContain(`value="${user_code}"`)
    expect(result.known).not.toContain('Test app')
    expect(result.unknown).toContain('value="BCDF-GHJK"')
    expect(result.hostile).not.toMatch(/alert\(1\)|value=""/)
    expect(moved).toEqual({})
  })
})

/** Codes that do not work, each for another reason. */
const dead: Record<string, () => Promise<string>> = {
  'is nobody’s': async () => 'BCDF-GHJK',
  'is too short': async () => 'BCDF-GHJ',
  'is empty': async () => '',
  'has letters that codes do not have': async () => 'ABCD-EF01',
  'has a NUL in the middle of a name': async () => 'BCDF-GHJ\u0001',
  'is long': async () => 'B'.repeat(5000),
  'has expired': async () => {
    const { user_code } = await ask()
    app.advance(31 * 60_000)
    return user_code
  },
  'was allowed already': async () => {
    const { browser } = await signedIn()
    const { user_code } = await ask()
    await (await open(browser, user_code)).answer('approve')
    return user_code
  },
  'was refused already': async () => {
    const { browser } = await signedIn()
    const { user_code } = await ask()
    await (await open(browser, user_code)).answer('deny')
    return user_code
  },
  'is of a client that was switched off': async () => {
    const { client } = await addDeviceClient(app.database.db)
    const { user_code } = await ask({ client_id: client.clientId })
    await setClientStatus(app.database.db, { clientId: client.clientId, status: 'inactive' }, by())
    return user_code
  },
}

describe('POST /device/verify', () => {
  it.each(Object.entries(dead))(
    'says the same of a code that %s as of every other',
    async (_, make) => {
      const user_code = await make()
      const { browser } = await signedIn()
      const audited = await countAudit(app, 'DEVICE_CODE_REFUSED')
      const { result, moved } = await observeUnchanged(app, () => enter(browser, user_code))
      expect(result.status).toBe(400)
      expect(result.headers.get('content-type')).toMatch(/^text\/html/)
      const page = await result.text()
      expect(page).toContain('This code is invalid')
      expect(page).not.toContain('Test app')
      expect(moved).toEqual(entered('refused'))
      expect(await countAudit(app, 'DEVICE_CODE_REFUSED')).toBe(audited + 1)
    },
  )

  it('shows who asks for what, from where, when, and the code to compare', async () => {
    const { user, browser } = await signedIn()
    const asked = await app.request('/oauth/device/code', {
      method: 'POST',
      body: `client_id=${confidential.id}&client_secret=${confidential.secret}&scope=openid+email&resource=https://api.example.test/`,
      headers: { 'content-type': form, 'user-agent': 'Go-http-client/1.1' },
      ip: '203.0.113.9',
    })
    const { user_code } = await jsonOf<Asked>(asked)
    app.advance(120_000)
    const { page } = await open(browser, user_code)
    for (const words of [
      'Test app wants to use your account',
      user_code,
      user.username,
      'Know who you are',
      'See your email address',
      'https://api.example.test/',
      'A Go program',
      '203.0.113.9',
      'Not your network',
      '2 minutes ago',
      'Continue only if you started this yourself.',
    ]) {
      expect(page).toContain(words)
    }
    expect(page).not.toContain('See your profile')
  })

  it('recognises the network that its user is in', async () => {
    const { browser } = await signedIn()
    const { page } = await open(browser, (await ask()).user_code)
    expect(page).toContain('Your network')
    expect(page).not.toContain('Not your network')
  })

  it('sends back to the code whoever was signed out meanwhile', async () => {
    const { browser } = await signedIn()
    const { user_code } = await ask()
    const page = await (await browser.get(`/device?user_code=${user_code}`)).text()
    await browser.signOut()
    const { result, moved } = await observeUnchanged(app, () =>
      browser.post('/device/verify', { csrf_token: csrfTokenOf(page), user_code }),
    )
    expect([result.status, result.headers.get('location')]).toEqual([
      303,
      `/device?user_code=${user_code}`,
    ])
    expect(moved).toEqual({})
    const garbage = await browser.post('/device/verify', { user_code: '//evil.example.test' })
    expect([garbage.status, garbage.headers.get('location')]).toEqual([303, '/device'])
  })
})

describe.each(['/device/verify', '/device/decide'])('POST %s without proof', (path) => {
  const fieldsFor = async (browser: Browser) => {
    const { user_code } = await ask()
    const { fields } = await open(browser, user_code)
    return { ...fields, user_code, action: 'approve' }
  }

  it.each<[string, (fields: Record<string, string>, other: Browser) => Promise<object>]>([
    ['no CSRF token', async ({ csrf_token: _, ...rest }) => rest],
    ['an empty one', async (fields) => ({ ...fields, csrf_token: '' })],
    [
      'that of another browser',
      async (fields, other) => ({
        ...fields,
        csrf_token: csrfTokenOf(await (await other.get('/device')).text()),
      }),
    ],
  ])('refuses %s', async (_, change) => {
    const { browser } = await signedIn()
    const other = await signedIn()
    const fields = await fieldsFor(browser)
    const changed = (await change(fields, other.browser)) as Record<string, string>
    const { result, moved } = await observeUnchanged(app, () => browser.post(path, changed))
    expect([result.status, moved]).toEqual([403, {}])
  })

  it('refuses another content type, and a repeated field', async () => {
    const { browser } = await signedIn()
    const fields = await fieldsFor(browser)
    const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const userAgent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    const raw = (body: string, type: string) =>
      app.request(path, {
        method: 'POST',
        body,
        headers: { 'content-type': type, cookie, accept: 'text/html', 'user-agent': userAgent },
      })
    const encoded = new URLSearchParams(fields).toString()
    for (const attempt of [
      () => raw(JSON.stringify(fields), 'application/json'),
      () => raw(`${encoded}&user_code=${fields.user_code}`, form),
    ]) {
      const { result, moved } = await observeUnchanged(app, attempt)
      expect([result.status, moved]).toEqual([400, {}])
    }
  })
})

describe('POST /device/decide', () => {
  it('says no: the device is told, once and for all, and no consent is left', async () => {
    const { user, browser } = await signedIn()
    const { device_code, user_code } = await ask()
    const page = await open(browser, user_code)
    const { result, moved } = await observe(app, () => page.answer('deny'))
    expect(result.status).toBe(200)
    expect(await result.text()).toContain('Test app was not connected')
    expect(moved).toEqual({
      ...ended('denied'),
      oauth_device_codes_active: -1,
      oauth_device_codes_pending_authorization: -1,
    })
    for (let n = 0; n < 2; n += 1) {
      const told = await observeUnchanged(app, () => poll(device_code))
      await expectError(told.result, 400, 'access_denied')
      expect(told.moved).toEqual({
        ...polled('denied'),
        ...tokenError('access_denied'),
        ...publicOk,
      })
    }
    expect((await rowOf(device_code))?.userId).not.toBe(user.id)
  })

  it.each<['approve' | 'deny', 'approve' | 'deny']>([
    ['approve', 'deny'],
    ['deny', 'approve'],
  ])('%s in one tab wins; %s in another one comes too late', async (first, second) => {
    const { browser } = await signedIn()
    const { user_code } = await ask()
    const tabs = [await open(browser, user_code), await open(browser, user_code)] as const
    expect((await tabs[0].answer(first)).status).toBe(200)
    const { result, moved } = await observeUnchanged(app, () => tabs[1].answer(second))
    expect([result.status, moved]).toEqual([409, {}])
    expect(await result.text()).toContain('This request is no longer valid')
  })

  it.each(['approve', 'deny'] as const)(
    '%s, pressed twice, leads to the same page twice and counts once',
    async (action) => {
      const { browser } = await signedIn()
      const { user_code } = await ask()
      const page = await open(browser, user_code)
      const { result, moved } = await observe(app, () =>
        Promise.all([page.answer(action), page.answer(action)]),
      )
      expect(result.map(({ status }) => status)).toEqual([200, 200])
      const [first, second] = await Promise.all(result.map((answer) => answer.text()))
      expect(first).toBe(second)
      expect(moved['oauth_device_codes_authorized_total'] ?? 0).toBe(action === 'approve' ? 1 : 0)
      const ends = 'authgate_device_codes_ended_total{result="denied"}'
      expect(moved[ends] ?? 0).toBe(action === 'deny' ? 1 : 0)
      app.advance(60_000)
      expect((await page.answer(action)).status).toBe(409)
    },
  )

  it('of two people who hold the same code lets one answer', async () => {
    const people = [await signedIn(), await signedIn()] as const
    const { device_code, user_code } = await ask()
    const pages = await Promise.all(people.map(({ browser }) => open(browser, user_code)))
    const { result, moved } = await observe(app, () =>
      Promise.all(pages.map((page) => page.answer('approve'))),
    )
    expect(result.map(({ status }) => status).sort()).toEqual([200, 409])
    expect(moved).toMatchObject({
      oauth_device_codes_authorized_total: 1,
      'oauth_consent_granted_total{flow="device_code"}': 1,
    })
    const winner = people[result.findIndex(({ status }) => status === 200)]
    expect((await rowOf(device_code))?.userId).toBe(winner?.user.id)
  })

  it.each<[string, Record<string, string>, number]>([
    ['an id of nothing', { request: crypto.randomUUID() }, 409],
    ['an id that is none', { request: "' or 1=1" }, 409],
    ['no id', { request: '' }, 409],
    ['no action', { action: '' }, 400],
    ['another action', { action: 'revoke' }, 400],
  ])('refuses %s', async (_, change, status) => {
    const { browser } = await signedIn()
    const { fields } = await open(browser, (await ask()).user_code)
    const { result, moved } = await observeUnchanged(app, () =>
      browser.post('/device/decide', { ...fields, action: 'approve', ...change }),
    )
    expect([result.status, moved]).toEqual([status, {}])
    expect(result.headers.get('content-type')).toMatch(/^text\/html/)
  })

  it.each<[string, (clientId: string) => Promise<unknown>]>([
    ['the code expired meanwhile', async () => app.advance(29 * 60_000 + 59_000)],
    [
      'the client was switched off meanwhile',
      async (id) => setClientStatus(app.database.db, { clientId: id, status: 'inactive' }, by()),
    ],
  ])('refuses when %s', async (_, meanwhile) => {
    const { client } = await addDeviceClient(app.database.db)
    const { user_code } = await ask({ client_id: client.clientId })
    app.advance(2000)
    const { browser } = await signedIn()
    const page = await open(browser, user_code)
    await meanwhile(client.clientId)
    const { result, moved } = await observeUnchanged(app, () => page.answer('approve'))
    expect([result.status, moved]).toEqual([409, {}])
  })

  it('sends back to the code whoever was signed out meanwhile, and has decided nothing', async () => {
    const { browser } = await signedIn()
    const { user_code } = await ask()
    const page = await open(browser, user_code)
    await browser.signOut()
    const { result, moved } = await observeUnchanged(app, () => page.answer('approve'))
    expect([result.status, result.headers.get('location')]).toEqual([
      303,
      `/device?user_code=${user_code}`,
    ])
    expect(moved).toEqual({})
  })
})

describe('POST /oauth/token with a device code', () => {
  type Case = [string, () => Promise<Record<string, string>>, string, Record<string, number>]
  const cases: Case[] = [
    ['none', async () => ({ device_code: '' }), 'invalid_request', {}],
    ['one of nobody', async () => ({ device_code: 'x' }), 'invalid_grant', polled('invalid')],
    [
      'a user code in its place',
      async () => ({ device_code: (await ask()).user_code }),
      'invalid_grant',
      polled('invalid'),
    ],
    [
      'one of another client',
      async () => {
        const { client } = await addDeviceClient(app.database.db)
        return { device_code: (await ask({ client_id: client.clientId })).device_code }
      },
      'invalid_grant',
      polled('invalid'),
    ],
    [
      'one that has been redeemed',
      async () => {
        const { browser } = await signedIn()
        const { device_code, user_code } = await ask()
        await (await open(browser, user_code)).answer('approve')
        await poll(device_code)
        return { device_code }
      },
      'invalid_grant',
      polled('invalid'),
    ],
    [
      'a resource that was not granted',
      async () => {
        const { browser } = await signedIn()
        const { device_code, user_code } = await ask()
        await (await open(browser, user_code)).answer('approve')
        return { device_code, resource: 'https://api.example.test/' }
      },
      'invalid_target',
      polled('invalid'),
    ],
  ]
  it.each(cases)('refuses %s and changes nothing', async (_, make, error, more) => {
    const fields = await make()
    const { result, moved } = await observeUnchanged(app, () =>
      postToken(app, { grant_type: deviceCodeGrantType, client_id: clientId, ...fields }),
    )
    await expectError(result, 400, error)
    expect(moved).toEqual({ ...tokenError(error), ...publicOk, ...more })
  })

  it('tells a device that asks too often to slow down', async () => {
    const { device_code } = await ask()
    await poll(device_code)
    const { result, moved } = await observe(app, () => poll(device_code))
    await expectError(result, 400, 'slow_down')
    expect(moved).toEqual({ ...polled('slow_down'), ...tokenError('slow_down'), ...publicOk })
    await agePoll(app.database.db, device_code, 9500)
    await expectError(await poll(device_code), 400, 'authorization_pending')
  })

  it('authenticates a confidential client, and leaves its code alone where it fails', async () => {
    const { browser } = await signedIn()
    const asked = await jsonOf<Asked>(
      await send('', basicAuth(confidential.id, confidential.secret)),
    )
    await (await open(browser, asked.user_code)).answer('approve')
    const attempt = (headers: Record<string, string>, more: Record<string, string> = {}) =>
      postToken(
        app,
        { grant_type: deviceCodeGrantType, device_code: asked.device_code, ...more },
        headers,
      )
    await expectError(await attempt({}, { client_id: confidential.id }), 401, 'invalid_client')
    await expectError(await attempt(basicAuth(confidential.id, 'guessed')), 401, 'invalid_client')
    const redeemed = await attempt(basicAuth(confidential.id, confidential.secret))
    expect(redeemed.status).toBe(200)
  })

  it('refuses once the approval was taken back, and counts the end of the code', async () => {
    const { browser } = await signedIn()
    const { device_code, user_code } = await ask()
    await (await open(browser, user_code)).answer('approve')
    const page = await (await browser.get('/account/authorizations')).text()
    const [, revoke = ''] = /action="(\/account\/authorizations\/[^"]+\/revoke)"/.exec(page) ?? []
    const { moved } = await observe(app, () => browser.submit('/account/authorizations', revoke))
    expect(moved).toMatchObject({ ...ended('denied'), oauth_device_codes_active: -1 })
    await expectError(await poll(device_code), 400, 'access_denied')
  })
})

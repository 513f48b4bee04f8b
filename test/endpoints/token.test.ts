import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { basicAuth } from '../support/client.ts'
import { ageFamilyOf } from '../support/database-time.ts'
import { obtainCode, obtainTokens, postToken, redeemCode, verifier } from '../support/flow.ts'
import { graceMs } from '../support/grants.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let browser: Browser
let publicId: string
let confidential: { id: string; secret: string }
beforeAll(async () => {
  app = await startTestApp()
  browser = await signedIn()
  publicId = (await addClient(app.database.db)).client.clientId
  const { client, secret = '' } = await addClient(app.database.db, { type: 'confidential' })
  confidential = { id: client.clientId, secret }
})
afterAll(() => app.close())

async function signedIn() {
  const user = await addUser(app.database.db)
  const opened = openBrowser(app)
  await opened.signIn(user.username)
  return opened
}

const form = 'application/x-www-form-urlencoded'

const send = (body: string, headers: Record<string, string> = { 'content-type': form }) =>
  app.request('/oauth/token', { method: 'POST', body, headers })

const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/token",error="${error}"}`]: 1,
})
const authenticated = (method: string, result: string) => ({
  [`authgate_client_authentications_total{method="${method}",result="${result}"}`]: 1,
})
const publicOk = authenticated('none', 'success')

/** RFC 6749 §5.2: JSON, a code, words without what a header could not hold, never cached. */
async function expectError(response: Response, status: number, error: string) {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toMatch(/^application\/json/)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.json()).toEqual({
    error,
    error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5B\x5D-\x7E]{1,100}$/),
  })
}

describe('POST /oauth/token with a request that is none', () => {
  const grant = 'grant_type=authorization_code'
  const id = () => `client_id=${publicId}`
  const rest = `&code=x&redirect_uri=x&code_verifier=${verifier}`
  type Case = [string, () => string, string, Record<string, number>]
  const cases: Case[] = [
    ['an empty body', () => '', 'invalid_request', {}],
    ['no client_id', () => `${grant}${rest}`, 'invalid_request', {}],
    ['no grant_type', id, 'invalid_request', publicOk],
    ['an empty grant_type', () => `${id()}&grant_type=`, 'invalid_request', publicOk],
    ['an unknown grant_type', () => `${id()}&grant_type=magic`, 'unsupported_grant_type', publicOk],
    [
      'the grant_type password',
      () => `${id()}&grant_type=password&username=a&password=b`,
      'unsupported_grant_type',
      publicOk,
    ],
    [
      'a grant_type of another case',
      () => `${id()}&grant_type=Refresh_Token`,
      'unsupported_grant_type',
      publicOk,
    ],
    [
      'a grant_type named like a method of objects',
      () => `${id()}&grant_type=constructor`,
      'unsupported_grant_type',
      publicOk,
    ],
    ['a repeated grant_type', () => `${id()}&${grant}&${grant}`, 'invalid_request', {}],
    ['a repeated client_id', () => `${id()}&${id()}&${grant}${rest}`, 'invalid_request', {}],
    ['a repeated code', () => `${id()}&${grant}${rest}&code=y`, 'invalid_request', {}],
    ['a repeated, empty parameter', () => `${id()}&${grant}${rest}&x=&x=`, 'invalid_request', {}],
    [
      'no code',
      () => `${id()}&${grant}&redirect_uri=x&code_verifier=${verifier}`,
      'invalid_request',
      publicOk,
    ],
    [
      'no redirect_uri',
      () => `${id()}&${grant}&code=x&code_verifier=${verifier}`,
      'invalid_request',
      publicOk,
    ],
    [
      'a short code_verifier',
      () => `${id()}&${grant}&code=x&redirect_uri=x&code_verifier=${'v'.repeat(42)}`,
      'invalid_request',
      publicOk,
    ],
    [
      'a long code_verifier',
      () => `${id()}&${grant}&code=x&redirect_uri=x&code_verifier=${'v'.repeat(129)}`,
      'invalid_request',
      publicOk,
    ],
    [
      'a code_verifier with a space',
      () => `${id()}&${grant}&code=x&redirect_uri=x&code_verifier=${'v'.repeat(42)}+`,
      'invalid_request',
      publicOk,
    ],
    [
      'a code with a NUL',
      () => `${id()}&${grant}&code=%00&redirect_uri=x&code_verifier=${verifier}`,
      'invalid_request',
      {},
    ],
    ['no refresh_token', () => `${id()}&grant_type=refresh_token`, 'invalid_request', publicOk],
    ['an unknown code', () => `${id()}&${grant}${rest}`, 'invalid_grant', publicOk],
  ]
  it.each(cases)(
    'answers %s as RFC 6749 §5.2 says and changes nothing',
    async (_, body, error, more) => {
      const { result, moved } = await observeUnchanged(app, () => send(body()))
      await expectError(result, 400, error)
      expect(moved).toEqual({ ...errors(error), ...more })
    },
  )

  it.each(['application/json', 'multipart/form-data; boundary=x', 'text/plain', undefined])(
    'refuses the content type %s',
    async (type) => {
      const body = new Blob([`${id()}&${grant}${rest}`])
      const headers = type === undefined ? {} : { 'content-type': type }
      const { result, moved } = await observeUnchanged(app, () =>
        app.request('/oauth/token', { method: 'POST', body, headers }),
      )
      await expectError(result, 400, 'invalid_request')
      expect(moved).toEqual(errors('invalid_request'))
    },
  )

  it('takes the content type in any case and with parameters', async () => {
    const type = 'Application/X-WWW-Form-Urlencoded; charset=UTF-8'
    await expectError(
      await send(`${id()}&grant_type=magic`, { 'content-type': type }),
      400,
      'unsupported_grant_type',
    )
  })

  it('ignores what stands in the query: secrets do not belong into addresses', async () => {
    const { result } = await observeUnchanged(app, () =>
      app.request(`/oauth/token?${id()}&${grant}${rest}`, {
        method: 'POST',
        headers: { 'content-type': form },
      }),
    )
    await expectError(result, 400, 'invalid_request')
  })

  it('answers JSON also to a program that sends the Accept header of a browser', async () => {
    const response = await send(`${id()}&grant_type=magic`, {
      'content-type': form,
      accept: 'text/html, image/gif, */*; q=.2',
    })
    await expectError(response, 400, 'unsupported_grant_type')
  })

  it.each(['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    'answers %s with 405 and Allow',
    async (method) => {
      const { result, moved } = await observeUnchanged(app, () =>
        app.request('/oauth/token', { method }),
      )
      expect([result.status, result.headers.get('allow')]).toEqual([405, 'POST'])
      expect(moved).toEqual({})
    },
  )

  it('refuses a body of 65 KiB with 413, with and without a Content-Length', async () => {
    const body = `${id()}&${grant}&code=${'x'.repeat(65 * 1024)}`
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(body))
        controller.close()
      },
    })
    const streamed = {
      method: 'POST',
      body: stream,
      duplex: 'half',
      headers: { 'content-type': form },
    }
    const sized = {
      method: 'POST',
      body,
      headers: { 'content-type': form, 'content-length': String(body.length) },
    }
    for (const init of [sized, streamed] as RequestInit[]) {
      const { result, moved } = await observeUnchanged(app, () => app.request('/oauth/token', init))
      expect([result.status, result.headers.get('cache-control')]).toEqual([413, 'no-store'])
      expect(moved).toEqual({})
    }
  })

  it('refuses a grant type that the client is not registered for', async () => {
    const { client } = await addClient(app.database.db, { grantTypes: ['authorization_code'] })
    const { result, moved } = await observeUnchanged(app, () =>
      postToken(app, {
        grant_type: 'refresh_token',
        client_id: client.clientId,
        refresh_token: 'x',
      }),
    )
    await expectError(result, 400, 'unauthorized_client')
    expect(moved).toEqual({ ...errors('unauthorized_client'), ...publicOk })
  })
})

describe('client authentication', () => {
  type Attempt = { headers?: Record<string, string>; fields?: Record<string, string> }
  const grant = { grant_type: 'refresh_token', refresh_token: 'x' }
  const refuse = async (
    attempt: Attempt,
    status: number,
    error: string,
    more: Record<string, number>,
  ) => {
    const { result, moved } = await observeUnchanged(app, () =>
      postToken(app, { ...grant, ...attempt.fields }, attempt.headers ?? {}),
    )
    await expectError(result, status, error)
    expect(moved).toEqual({ ...errors(error), ...more })
    return result
  }
  const header = (text: string) => ({ headers: { authorization: text } })

  const malformed: [string, () => Attempt][] = [
    [
      'both methods at once',
      () => ({
        headers: basicAuth(confidential.id, confidential.secret),
        fields: { client_secret: confidential.secret },
      }),
    ],
    [
      'another client_id beside the header',
      () => ({
        headers: basicAuth(confidential.id, confidential.secret),
        fields: { client_id: publicId },
      }),
    ],
  ]
  const unreadable: [string, () => Attempt][] = [
    ['another scheme', () => header('Bearer abc')],
    ['Basic without credentials', () => header('Basic')],
    ['Basic with nothing that is base64', () => header('Basic ***')],
    ['Basic without a colon', () => header(`Basic ${btoa('no-colon')}`)],
    ['Basic with a broken percent sign', () => header(`Basic ${btoa('a:%zz')}`)],
  ]
  it.each(unreadable)(
    'refuses %s as failed authentication, with a challenge',
    async (_, attempt) => {
      const result = await refuse(attempt(), 401, 'invalid_client', {
        'authgate_client_authentications_total{method="client_secret_basic",result="failure"}': 1,
      })
      expect(result.headers.get('www-authenticate')).toMatch(/^Basic realm="/)
    },
  )

  it.each(malformed)('refuses %s as malformed', async (_, attempt) => {
    await refuse(attempt(), 400, 'invalid_request', {})
  })

  const failing: [string, string, () => Attempt][] = [
    ['an unknown client', 'none', () => ({ fields: { client_id: crypto.randomUUID() } })],
    [
      'a client_id with a NUL in the header',
      'client_secret_basic',
      () => ({ headers: basicAuth('\0', 'x') }),
    ],
    [
      'an unknown client with a secret',
      'client_secret_post',
      () => ({ fields: { client_id: 'x', client_secret: 'x' } }),
    ],
    [
      'an unknown client in the header',
      'client_secret_basic',
      () => ({ headers: basicAuth('x', 'x') }),
    ],
    [
      'a wrong secret in the body',
      'client_secret_post',
      () => ({ fields: { client_id: confidential.id, client_secret: `${confidential.secret}x` } }),
    ],
    [
      'a wrong secret in the header',
      'client_secret_basic',
      () => ({ headers: basicAuth(confidential.id, 'x') }),
    ],
    ['an empty secret in the header', 'none', () => ({ headers: basicAuth(confidential.id, '') })],
    [
      'the digest of the secret',
      'client_secret_post',
      () => ({
        fields: { client_id: confidential.id, client_secret: sha256(confidential.secret) },
      }),
    ],
    [
      'a confidential client without its secret',
      'none',
      () => ({ fields: { client_id: confidential.id } }),
    ],
    [
      'an empty secret in the body',
      'none',
      () => ({ fields: { client_id: confidential.id, client_secret: '' } }),
    ],
    [
      'a public client with a secret',
      'client_secret_post',
      () => ({ fields: { client_id: publicId, client_secret: 'x' } }),
    ],
    [
      'a public client with a secret in the header',
      'client_secret_basic',
      () => ({ headers: basicAuth(publicId, 'x') }),
    ],
  ]
  it.each(failing)(
    'refuses %s with 401, a challenge and the same words',
    async (_, method, attempt) => {
      const result = await refuse(
        attempt(),
        401,
        'invalid_client',
        authenticated(method, 'failure'),
      )
      expect(result.headers.get('www-authenticate')).toMatch(/^Basic realm="/)
    },
  )

  it('refuses a client that is not active, its secret right or not', async () => {
    for (const status of ['pending', 'inactive'] as const) {
      const { client, secret = '' } = await addClient(app.database.db, {
        type: 'confidential',
        status,
      })
      await refuse(
        { headers: basicAuth(client.clientId, secret) },
        401,
        'invalid_client',
        authenticated('client_secret_basic', 'failure'),
      )
    }
  })

  it('takes a public client that names itself in the header, without a secret (RFC 6749 §2.3.1)', async () => {
    const { result, moved } = await observe(app, () =>
      postToken(app, grant, basicAuth(publicId, '')),
    )
    await expectError(result, 400, 'invalid_grant')
    expect(moved).toMatchObject(publicOk)
  })

  it('decodes both parts of the header from form encoding (RFC 6749 §2.3.1)', async () => {
    const secret = 'a+b c:d%/é'
    const { client } = await addClient(app.database.db, { type: 'confidential' })
    await app.database.db
      .update(clients)
      .set({ secretHash: sha256(secret) })
      .where(eq(clients.clientId, client.clientId))
    const encode = (text: string) => new URLSearchParams({ x: text }).toString().slice(2)
    const { result, moved } = await observe(app, () =>
      postToken(app, grant, basicAuth(client.clientId, encode(secret))),
    )
    await expectError(result, 400, 'invalid_grant')
    expect(moved).toMatchObject(authenticated('client_secret_basic', 'success'))
  })
})

describe('the authorization code grant', () => {
  it.each([
    ['a wrong verifier', { code_verifier: 'w'.repeat(43) }],
    ['no verifier', { code_verifier: '' }],
    ['another redirect URI', { redirect_uri: 'https://app.example.test/other' }],
    [
      'a redirect URI that only resembles it',
      { redirect_uri: 'https://app.example.test/callback/' },
    ],
  ])('refuses %s, hands out nothing and leaves the code to its owner', async (_, fields) => {
    const code = await obtainCode(browser, publicId)
    const { result, moved } = await observeUnchanged(app, () =>
      redeemCode(app, publicId, code, fields),
    )
    await expectError(result, 400, 'invalid_grant')
    expect(moved).toEqual({ ...errors('invalid_grant'), ...publicOk })
    expect((await redeemCode(app, publicId, code)).status).toBe(200)
  })

  it("refuses another client's code, used or not, and does not end its tokens", async () => {
    const thief = (await addClient(app.database.db)).client.clientId
    const code = await obtainCode(browser, publicId)
    for (const round of ['unused', 'used']) {
      const { result, moved } = await observeUnchanged(app, () => redeemCode(app, thief, code))
      await expectError(result, 400, 'invalid_grant')
      expect(moved, round).toEqual({ ...errors('invalid_grant'), ...publicOk })
      if (round === 'unused') expect((await redeemCode(app, publicId, code)).status).toBe(200)
    }
  })

  it('refuses an expired code', async () => {
    const code = await obtainCode(browser, publicId)
    app.advance(60_001)
    const { result, moved } = await observeUnchanged(app, () => redeemCode(app, publicId, code))
    await expectError(result, 400, 'invalid_grant')
    expect(moved).toEqual({ ...errors('invalid_grant'), ...publicOk })
  })

  it('ends all tokens of a code that is used twice, once, and tells the audit log', async () => {
    const code = await obtainCode(browser, publicId)
    const tokens = (await (await redeemCode(app, publicId, code)).json()) as {
      access_token: string
      refresh_token: string
    }
    const suspicions = await countAudit(app, 'SUSPICIOUS_ACTIVITY')
    const { result, moved } = await observe(app, () => redeemCode(app, publicId, code))
    await expectError(result, 400, 'invalid_grant')
    expect(moved).toEqual({
      ...errors('invalid_grant'),
      ...publicOk,
      'authgate_authorization_codes_total{event="replayed"}': 1,
      'oauth_tokens_revoked_total{reason="code_replay",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="code_replay",token_type="refresh"}': 1,
      'oauth_tokens_active{token_type="access"}': -1,
      'oauth_tokens_active{token_type="refresh"}': -1,
    })
    expect(await countAudit(app, 'SUSPICIOUS_ACTIVITY')).toBe(suspicions + 1)
    const userinfo = await app.request('/oauth/userinfo', {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    expect(userinfo.status).toBe(401)
    const refreshed = await refresh({ refresh_token: tokens.refresh_token })
    await expectError(refreshed, 400, 'invalid_grant')
    const again = await observeUnchanged(app, () => redeemCode(app, publicId, code))
    expect(again.moved).toEqual({
      ...errors('invalid_grant'),
      ...publicOk,
      'authgate_authorization_codes_total{event="replayed"}': 1,
    })
  })

  it('refuses the code of a user who was disabled, and of a client that was', async () => {
    const db = app.database.db
    const by = { actor: await addAdmin(db), origin: systemOrigin, now: app.now() }
    const user = await addUser(db)
    const own = openBrowser(app)
    await own.signIn(user.username)
    const code = await obtainCode(own, publicId)
    await disableUser(db, user.id, by)
    const { result } = await observeUnchanged(app, () => redeemCode(app, publicId, code))
    await expectError(result, 400, 'invalid_grant')

    const { client } = await addClient(db)
    const other = await obtainCode(browser, client.clientId)
    await setClientStatus(db, { clientId: client.clientId, status: 'inactive' }, by)
    const refused = await observeUnchanged(app, () => redeemCode(app, client.clientId, other))
    expect(refused.result.status).toBeGreaterThanOrEqual(400)
    expect(await refused.result.json()).toMatchObject({ error: expect.stringMatching(/^invalid_/) })
  })

  it('answers what it issues with no-store and gives no refresh token without offline_access', async () => {
    const code = await obtainCode(browser, publicId, { scope: 'openid' })
    const response = await redeemCode(app, publicId, code)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('pragma')).toBe('no-cache')
    expect(Object.keys((await response.json()) as object).sort()).toEqual([
      'access_token',
      'expires_in',
      'id_token',
      'scope',
      'token_type',
    ])
  })
})

const refresh = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
  postToken(
    app,
    {
      grant_type: 'refresh_token',
      ...(headers['authorization'] === undefined && { client_id: publicId }),
      ...fields,
    },
    headers,
  )

describe('the refresh grant', () => {
  const refreshed = (result: string) => ({
    [`oauth_tokens_refreshed_total{result="${result}"}`]: 1,
  })
  const refused = async (fields: Record<string, string>, error: string, result: string) => {
    const observed = await observeUnchanged(app, () => refresh(fields))
    await expectError(observed.result, 400, error)
    expect(observed.moved).toEqual({ ...errors(error), ...publicOk, ...refreshed(result) })
  }

  it('refuses made-up tokens, and tokens of another kind', async () => {
    const tokens = await obtainTokens(app, browser, publicId)
    for (const refresh_token of ['x', 'x'.repeat(43), tokens.access_token, tokens.id_token])
      await refused({ refresh_token }, 'invalid_grant', 'invalid')
  })

  it("refuses another client's token and leaves it to its owner", async () => {
    const other = (await addClient(app.database.db)).client.clientId
    const { refresh_token } = await obtainTokens(app, browser, other)
    await refused({ refresh_token }, 'invalid_grant', 'client_mismatch')
    expect((await refresh({ refresh_token, client_id: other })).status).toBe(200)
  })

  it.each(['openid admin', 'openid profile email offline_access admin', 'OPENID', '"', ' '])(
    'refuses the scope %j, which was not granted, and leaves the token usable',
    async (scope) => {
      const { refresh_token } = await obtainTokens(app, browser, publicId)
      await refused({ refresh_token, scope }, 'invalid_scope', 'scope')
      expect((await refresh({ refresh_token })).status).toBe(200)
    },
  )

  it('narrows the scope of the access token on request, and not for ever', async () => {
    const { refresh_token } = await obtainTokens(app, browser, publicId)
    const narrowed = (await (await refresh({ refresh_token, scope: 'openid' })).json()) as Record<
      string,
      string
    >
    expect(narrowed['scope']).toBe('openid')
    const again = await refresh({ refresh_token: narrowed['refresh_token'] ?? '' })
    expect(await again.json()).toMatchObject({ scope: 'openid profile email offline_access' })
  })

  it('refuses a token whose family ended by reuse', async () => {
    const { refresh_token: first } = await obtainTokens(app, browser, publicId)
    const second = (
      (await (await refresh({ refresh_token: first })).json()) as Record<string, string>
    )['refresh_token']
    await ageFamilyOf(app.database.db, first, graceMs)
    const reuse = await observe(app, () => refresh({ refresh_token: first }))
    await expectError(reuse.result, 400, 'invalid_grant')
    expect(reuse.moved).toEqual({
      ...errors('invalid_grant'),
      ...publicOk,
      ...refreshed('reuse'),
      'oauth_tokens_revoked_total{reason="reuse",token_type="access"}': 2,
      'oauth_tokens_revoked_total{reason="reuse",token_type="refresh"}': 1,
      'oauth_tokens_active{token_type="access"}': -2,
      'oauth_tokens_active{token_type="refresh"}': -1,
    })
    await refused({ refresh_token: second ?? '' }, 'invalid_grant', 'revoked')
  })

  it('refuses the tokens of a disabled user', async () => {
    const db = app.database.db
    const user = await addUser(db)
    const own = openBrowser(app)
    await own.signIn(user.username)
    const { refresh_token } = await obtainTokens(app, own, publicId)
    await disableUser(db, user.id, {
      actor: await addAdmin(db),
      origin: systemOrigin,
      now: app.now(),
    })
    await refused({ refresh_token }, 'invalid_grant', 'revoked')
  })

  it('does not rotate for a confidential client where rotation is off', async () => {
    const fixed = await startTestApp({
      replicaOf: app,
      settings: { ENABLE_TOKEN_ROTATION: 'false' },
    })
    const { id, secret } = confidential
    const code = await obtainCode(browser, id)
    const issued = await redeemCode(app, id, code, { client_secret: secret })
    const { refresh_token } = (await issued.json()) as { refresh_token: string }
    for (const round of [1, 2]) {
      const response = await postToken(
        fixed,
        { grant_type: 'refresh_token', refresh_token },
        basicAuth(id, secret),
      )
      expect(await response.json(), String(round)).toMatchObject({ refresh_token })
    }
    await fixed.close()
  })

  // Last: it moves the clock by a month.
  it('refuses an expired token', async () => {
    const { refresh_token } = await obtainTokens(app, browser, publicId)
    app.advance(30 * 86_400_000 + 1000)
    await refused({ refresh_token }, 'invalid_grant', 'expired')
  })
})

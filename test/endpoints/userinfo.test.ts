import { eq } from 'drizzle-orm'
import {
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
} from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { loadKeySet } from '#/domain/keys/keys.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { obtainTokens } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { observeUnchanged } from './refusals.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

async function setUp(scope?: string) {
  const user = await addUser(app.database.db)
  const { client } = await addClient(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  const issued = await obtainTokens(app, browser, client.clientId, scope ? { scope } : {})
  return { user, client, issued }
}

const present = (token: string, init: RequestInit = {}) =>
  app.request('/oauth/userinfo', { ...init, headers: { authorization: `Bearer ${token}` } })

const validated = (result: string) => ({ [`oauth_token_validation_total{result="${result}"}`]: 1 })
const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/userinfo",error="${error}"}`]: 1,
})

async function expectRefused(
  step: () => Promise<Response>,
  status: number,
  error: string,
  more: Record<string, number>,
) {
  const { result, moved } = await observeUnchanged(app, step)
  expect(result.status).toBe(status)
  expect(result.headers.get('www-authenticate')).toMatch(
    new RegExp(`^Bearer realm="authgate", error="${error}", error_description="[^"\\\\]+"$`),
  )
  expect(result.headers.get('cache-control')).toBe('no-store')
  expect(await result.json()).toEqual({ error, error_description: expect.any(String) })
  expect(moved).toEqual({ ...errors(error), ...more })
}

const expectInvalid = (step: () => Promise<Response>, result: 'invalid' | 'expired' = 'invalid') =>
  expectRefused(step, 401, 'invalid_token', validated(result))

describe('/oauth/userinfo', () => {
  it('tells by GET and by POST, with the token in the header or in a form, what its scope allows', async () => {
    const { user, issued } = await setUp('openid email')
    const form = {
      method: 'POST',
      body: `access_token=${issued.access_token}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }
    for (const step of [
      () => present(issued.access_token),
      () => present(issued.access_token, { method: 'POST' }),
      () => app.request('/oauth/userinfo', form),
    ]) {
      const { result, moved } = await observeUnchanged(app, step)
      expect(result.status).toBe(200)
      expect(await result.json()).toEqual({
        sub: user.id,
        email: user.email,
        email_verified: false,
      })
      expect(moved).toEqual(validated('valid'))
    }
  })

  const bare: [string, string, RequestInit][] = [
    ['no token', '', {}],
    ['an Authorization header of another scheme', '', { headers: { authorization: 'Basic eDp5' } }],
    ['a Bearer header without a token', '', { headers: { authorization: 'Bearer' } }],
    ['a POST without a token', '', { method: 'POST' }],
    [
      'a form without a token',
      '',
      {
        method: 'POST',
        body: 'x=1',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      },
    ],
    ['a token in the query alone', '?access_token=TOKEN', {}],
    [
      'a token in a JSON body alone',
      '',
      {
        method: 'POST',
        body: '{"access_token":"TOKEN"}',
        headers: { 'content-type': 'application/json' },
      },
    ],
    ['a session cookie alone', '', { headers: { cookie: 'oauth_session=x' } }],
    [
      'a form in the body of no form',
      '',
      { method: 'POST', body: 'access_token=TOKEN', headers: { 'content-type': 'text/plain' } },
    ],
  ]
  it.each(bare)(
    'answers %s with a bare challenge that names no error (RFC 6750 §3.1)',
    async (_, query, init) => {
      const { access_token } = (await setUp()).issued
      const body = init.body?.toString().replace('TOKEN', access_token)
      const { result, moved } = await observeUnchanged(app, () =>
        app.request(`/oauth/userinfo${query.replace('TOKEN', access_token)}`, {
          ...init,
          ...(body !== undefined && { body }),
        }),
      )
      expect([result.status, result.headers.get('www-authenticate'), await result.text()]).toEqual([
        401,
        'Bearer realm="authgate", DPoP algs="ES256 PS256 EdDSA Ed25519"',
        '',
      ])
      expect(moved).toEqual({})
    },
  )

  it('refuses a token that is sent twice, even if both are the same', async () => {
    const { access_token } = (await setUp()).issued
    const both = () =>
      app.request('/oauth/userinfo', {
        method: 'POST',
        body: `access_token=${access_token}`,
        headers: {
          authorization: `Bearer ${access_token}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
      })
    const repeated = () =>
      app.request('/oauth/userinfo', {
        method: 'POST',
        body: `access_token=${access_token}&access_token=${access_token}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })
    await expectRefused(both, 400, 'invalid_request', {})
    await expectRefused(repeated, 400, 'invalid_request', {})
  })

  it('answers JSON and the challenge also to a program that sends the Accept header of a browser', async () => {
    const response = await app.request('/oauth/userinfo', {
      headers: { authorization: 'Bearer x', accept: 'text/html, */*; q=.2' },
    })
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    expect(response.headers.get('www-authenticate')).toMatch(/error="invalid_token"/)
  })

  it.each(['x', 'a.b.c', 'eyJhbGciOiJub25lIn0.e30.', '.'.repeat(5), 'x'.repeat(8000), '%00', '~'])(
    'refuses %j, which is no token',
    async (token) => {
      if (token === '%00') {
        const step = () =>
          app.request('/oauth/userinfo', {
            method: 'POST',
            body: `access_token=${token}`,
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
          })
        return expectRefused(step, 400, 'invalid_request', {})
      }
      return expectInvalid(() => present(token))
    },
  )

  it('refuses every token that is not ours, not meant for this, or no longer in force', async () => {
    const { user, client, issued } = await setUp()
    const claims = decodeJwt(issued.access_token)
    const header = decodeProtectedHeader(issued.access_token)
    const kid = header.kid ?? ''
    const current = (await loadOwnKeys()).signing('ES256')
    const foreign = await generateKeyPair('ES256', { extractable: true })
    const jwk = await exportJWK(foreign.publicKey)
    const signed = (
      changes: JWTPayload,
      protectedHeader: Record<string, unknown> = {},
      key: Parameters<SignJWT['sign']>[0] = current.privateKey,
    ) =>
      new SignJWT({ ...claims, ...changes })
        .setProtectedHeader({ alg: 'ES256', kid, typ: 'at+jwt', ...protectedHeader })
        .sign(key)
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const [head = '', body = '', signature = ''] = issued.access_token.split('.')
    const past = Math.floor(app.now().getTime() / 1000) - 10

    // What all others are changes of is itself accepted.
    expect((await present(await signed({}))).status).toBe(200)
    const forged: Record<string, string> = {
      'another key under our key id': await signed({}, {}, foreign.privateKey),
      'a key that the token brings along': await signed({}, { jwk, kid: 'x' }, foreign.privateKey),
      'an unknown key id': await signed({}, { kid: 'x' }),
      'alg none': `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${body}.`,
      'alg none with a signature': `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${body}.${signature}`,
      'HS256 under the public key': await signed(
        {},
        { alg: 'HS256' },
        new TextEncoder().encode(JSON.stringify(await exportJWK(current.publicKey))),
      ),
      'a changed payload': `${head}.${encode({ ...claims, scope: 'openid admin' })}.${signature}`,
      'no signature': `${head}.${body}.`,
      'a cut signature': `${head}.${body}.${signature.slice(0, -4)}`,
      'an ID token': issued.id_token,
      'a refresh token': issued.refresh_token,
      'typ JWT': await signed({}, { typ: 'JWT' }),
      'another audience': await signed({ aud: client.clientId }),
      'another issuer': await signed({ iss: 'https://evil.test' }),
      'a token id that does not exist': await signed({ jti: crypto.randomUUID() }),
      'a token id that is none': await signed({ jti: "x' or 1=1" }),
      'the id of a refresh token': await signed({ jti: await refreshTokenId(user.id) }),
    }
    for (const [what, token] of Object.entries(forged))
      await expectInvalid(() => present(token)).catch((error: unknown) => {
        throw new Error(`accepted or answered in another way: ${what}`, { cause: error })
      })
    await expectInvalid(async () => present(await signed({ exp: past })), 'expired')
    expect((await present(issued.access_token)).status).toBe(200)
  })

  const withdrawals: [string, (by: Awaited<ReturnType<typeof setUp>>) => Promise<unknown>][] = [
    [
      'revoked',
      ({ user }) =>
        app.database.db
          .update(tokens)
          .set({ revokedAt: app.now(), revocationReason: 'consent_revoked' })
          .where(eq(tokens.userId, user.id)),
    ],
    ['deleted', ({ user }) => app.database.db.delete(tokens).where(eq(tokens.userId, user.id))],
    [
      'expired by the row alone',
      ({ user }) =>
        app.database.db
          .update(tokens)
          .set({ expiresAt: new Date(app.now().getTime() - 1) })
          .where(eq(tokens.userId, user.id)),
    ],
    [
      'of a user who was disabled',
      async ({ user }) => disableUser(app.database.db, user.id, await byAdmin()),
    ],
    [
      'of a client that was disabled',
      async ({ client: { clientId } }) =>
        setClientStatus(app.database.db, { clientId, status: 'inactive' }, await byAdmin()),
    ],
    [
      'of a client that was disabled and enabled again',
      async ({ client: { clientId } }) => {
        for (const status of ['inactive', 'active'] as const)
          await setClientStatus(app.database.db, { clientId, status }, await byAdmin())
      },
    ],
  ]
  it.each(withdrawals)(
    'refuses at the very next request a token that is %s',
    async (_, withdraw) => {
      const grant = await setUp()
      expect((await present(grant.issued.access_token)).status).toBe(200)
      await withdraw(grant)
      await expectInvalid(() => present(grant.issued.access_token))
    },
  )

  it('refuses a token without the openid scope as too narrow', async () => {
    const { issued } = await setUp('profile email')
    await expectRefused(
      () => present(issued.access_token),
      403,
      'insufficient_scope',
      validated('valid'),
    )
  })

  it.each(['PUT', 'DELETE', 'PATCH'])('answers %s with 405 and Allow', async (method) => {
    const response = await app.request('/oauth/userinfo', { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST'])
  })
})

const loadOwnKeys = () =>
  loadKeySet(app.database.db, {
    secrets: ['test secret of at least thirty-two characters'],
    algorithm: 'ES256',
    clock: app.now,
  })

async function refreshTokenId(userId: string): Promise<string> {
  const rows = await app.database.db.select().from(tokens).where(eq(tokens.userId, userId))
  return rows.find(({ type }) => type === 'refresh')?.id ?? ''
}

const byAdmin = async () => ({
  actor: await addAdmin(app.database.db),
  origin: systemOrigin,
  now: app.now(),
})

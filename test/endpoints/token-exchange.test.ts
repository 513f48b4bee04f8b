import { and, eq, gt, isNull } from 'drizzle-orm'
import fc from 'fast-check'
import { decodeJwt, type JWTPayload } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { changePassword } from '#/domain/access-revocation/end-users.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import type { NewClient } from '#/domain/clients/clients.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import type { User } from '#/domain/users/users.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { basicAuth } from '../support/client.ts'
import { obtainCode, postToken, redeemCode } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { createKey, type ProofKey, signDpopProof } from '../support/proofs.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const ordersApi = 'https://orders.example.test/api'
const stockApi = 'https://stock.example.test/'
const mailApi = 'urn:example:mail'

let app: TestApp
/** Where people sign in; the others are the services behind it. */
let shop: Party
let orders: Party
let stock: Party
beforeAll(async () => {
  app = await startTestApp({
    settings: {
      DPOP_REQUIRE_NONCE: 'false',
      JWT_EXPIRATION: '1h',
      JWT_EXPIRATION_JITTER: '0s',
      TOKEN_PROFILE_SHORT_ACCESS_TTL: '2m',
    },
  })
  shop = await addShop()
  orders = await addService(ordersApi, { allowedResources: [stockApi, mailApi] })
  stock = await addService(stockApi, { allowedResources: [mailApi, stockApi], scope: 'read mail' })
})
afterAll(() => app.close())

interface Party {
  readonly id: string
  readonly secret: string
}

async function add(more: Partial<NewClient>): Promise<Party> {
  const { client, secret = '' } = await addClient(app.database.db, {
    type: 'confidential',
    scope: 'openid profile email offline_access read write',
    ...more,
  })
  return { id: client.clientId, secret }
}

const addShop = (more: Partial<NewClient> = {}) =>
  add({
    grantTypes: ['authorization_code', 'refresh_token', 'client_credentials', grantType],
    allowedResources: [ordersApi, stockApi],
    ...more,
  })

const addService = (served: string, more: Partial<NewClient> = {}) =>
  add({
    grantTypes: [grantType],
    redirectUris: [],
    scope: 'openid offline_access read mail',
    servedResources: [served],
    ...more,
  })

const shown = ({ id, secret }: Party) => ({ client_id: id, client_secret: secret })

interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
}

interface Subject extends Tokens {
  readonly user: User
}

/** What a new user's browser has got for a client: a token for `resource`, and a refresh token. */
async function signIn(
  more: Record<string, string> = {},
  { by = shop, dpop }: { by?: Party; dpop?: string } = {},
): Promise<Subject> {
  const user = await addUser(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  const asked = { scope: 'openid profile offline_access read write', resource: ordersApi, ...more }
  const code = await obtainCode(browser, by.id, asked)
  const at: Pick<TestApp, 'request'> = {
    request: (path, init) =>
      app.request(path, { ...init, headers: { ...init?.headers, ...(dpop && { dpop }) } }),
  }
  const response = await redeemCode(at, by.id, code, { client_secret: by.secret })
  expect(response.status).toBe(200)
  return { user, ...((await response.json()) as Tokens) }
}

const fieldsOf = (by: Party, subject_token: string, more: Record<string, string> = {}) => ({
  grant_type: grantType,
  subject_token,
  subject_token_type: accessTokenType,
  ...shown(by),
  ...more,
})

const exchange = (by: Party, token: string, more?: Record<string, string>, headers = {}) =>
  postToken(app, fieldsOf(by, token, more), headers)

interface Answer extends Record<string, unknown> {
  readonly access_token: string
}

async function obtain(by: Party, token: string, more?: Record<string, string>): Promise<Answer> {
  const response = await exchange(by, token, more)
  const answer = (await response.json()) as Answer
  expect([response.status, answer]).toEqual([200, answer])
  return answer
}

const claimsAfter = async (...asked: Parameters<typeof obtain>): Promise<JWTPayload> =>
  decodeJwt((await obtain(...asked)).access_token)

const rowOf = async (token: string) => {
  const id = decodeJwt(token).jti ?? ''
  const [row] = await app.database.db.select().from(tokens).where(eq(tokens.id, id))
  if (!row) throw new Error('there is no such token')
  return row
}

const isLive = async (token: string) => {
  const { revokedAt, expiresAt } = await rowOf(token)
  return revokedAt === null && expiresAt > app.now()
}

const authenticated = (method = 'client_secret_post', result = 'success') => ({
  [`authgate_client_authentications_total{method="${method}",result="${result}"}`]: 1,
})
const exchanged = (result: string) => ({
  [`authgate_token_exchanges_total{result="${result}"}`]: 1,
})
const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/token",error="${error}"}`]: 1,
})

async function expectError(response: Response, error: string, status = 400) {
  expect([response.status, response.headers.get('cache-control')]).toEqual([status, 'no-store'])
  expect(await response.json()).toEqual({ error, error_description: expect.any(String) })
}

describe('the token exchange grant (RFC 8693)', () => {
  it('gives a service that was sent a token one of its own, for the same user, and says who acts', async () => {
    const { user, access_token } = await signIn()
    const audited = await countAudit(app, 'TOKEN_EXCHANGED')
    const { result, moved } = await observe(app, () =>
      exchange(orders, access_token, { resource: stockApi }),
    )
    expect(result.status).toBe(200)
    expect([result.headers.get('cache-control'), result.headers.get('pragma')]).toEqual([
      'no-store',
      'no-cache',
    ])
    const answer = (await result.json()) as Answer
    expect(answer).toEqual({
      access_token: expect.any(String),
      issued_token_type: accessTokenType,
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      scope: 'openid read',
    })
    expect(moved).toEqual({
      ...authenticated(),
      ...exchanged('success'),
      [`oauth_tokens_issued_total{grant_type="${grantType}",token_type="access"}`]: 1,
      'oauth_tokens_active{token_type="access"}': 1,
    })
    expect(await countAudit(app, 'TOKEN_EXCHANGED')).toBe(audited + 1)
    const before = decodeJwt(access_token)
    const claims = decodeJwt(answer.access_token)
    expect(claims).toEqual({
      iss: app.config.server.baseUrl,
      sub: user.id,
      aud: [stockApi, app.config.server.baseUrl],
      client_id: orders.id,
      act: { sub: orders.id },
      scope: 'openid read',
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: expect.any(Number),
      auth_time: before['auth_time'],
      amr: before['amr'],
      acr: before['acr'],
    })
    expect(claims.jti).not.toBe(before.jti)
    expect(claims.exp).toBeLessThanOrEqual(Number(before.exp))
    const [from, to] = [await rowOf(access_token), await rowOf(answer.access_token)]
    expect([to.familyId, to.originClientId]).toEqual([from.familyId, shop.id])
    expect(await isLive(access_token)).toBe(true)
  })

  it('calls what it issues a JWT where that is asked for, and takes one by that name', async () => {
    const { access_token } = await signIn()
    const jwt = 'urn:ietf:params:oauth:token-type:jwt'
    const asked = { subject_token_type: jwt, requested_token_type: jwt }
    expect(await obtain(orders, access_token, asked)).toMatchObject({ issued_token_type: jwt })
    const named = { requested_token_type: accessTokenType }
    expect(await obtain(orders, access_token, named)).toMatchObject({
      issued_token_type: accessTokenType,
    })
  })

  it('remembers who acted before, and ends the chain at four', async () => {
    const { user, access_token } = await signIn()
    const first = await obtain(orders, access_token, { resource: stockApi })
    const mail = await addService(mailApi, { allowedResources: [mailApi] })
    const second = await obtain(stock, first.access_token, { resource: mailApi })
    const third = await obtain(mail, second.access_token)
    const acts = { sub: mail.id, act: { sub: stock.id, act: { sub: orders.id } } }
    expect(decodeJwt(third.access_token)).toMatchObject({
      sub: user.id,
      client_id: mail.id,
      act: acts,
      aud: mailApi,
      scope: 'read',
    })
    const introspected = await app.request('/oauth/introspect', {
      method: 'POST',
      body: new URLSearchParams({ token: third.access_token, ...shown(mail) }),
    })
    expect(await introspected.json()).toMatchObject({ active: true, client_id: mail.id, act: acts })
    expect((await rowOf(third.access_token)).originClientId).toBe(shop.id)

    const [fourth, fifth] = await Promise.all([
      addService(mailApi, { allowedResources: [mailApi] }),
      addService(mailApi),
    ])
    const last = await obtain(fourth, third.access_token)
    const { result, moved } = await observeUnchanged(app, () => exchange(fifth, last.access_token))
    await expectError(result, 'invalid_request')
    expect(moved).toEqual({
      ...authenticated(),
      ...exchanged('refused'),
      ...errors('invalid_request'),
    })
  })

  it('lets a client narrow a token of its own, and names nobody who acts for it', async () => {
    const { user, access_token } = await signIn()
    const claims = await claimsAfter(shop, access_token, { scope: 'read', resource: stockApi })
    expect(claims).toMatchObject({ sub: user.id, client_id: shop.id, aud: stockApi, scope: 'read' })
    expect(claims).not.toHaveProperty('act')
  })

  it('lives no longer than the token it came from, nor than its client’s tokens may', async () => {
    const { access_token } = await signIn()
    const { exp } = decodeJwt(access_token)
    const brief = await addService(ordersApi, { tokenProfile: 'short' })
    expect(await obtain(brief, access_token)).toMatchObject({ expires_in: 120 })
    app.advance(58.5 * 60_000)
    const answer = await obtain(brief, access_token)
    const claims = decodeJwt(answer.access_token)
    expect(claims.exp).toBe(exp)
    expect(answer['expires_in']).toBeLessThanOrEqual(90)
    app.advance(90_000)
    await expectError(await exchange(brief, answer.access_token), 'invalid_request')
  })

  it.each<[string, Record<string, string>, string]>([
    ['all that both may have', {}, 'openid read'],
    ['what is asked for', { scope: 'read' }, 'read'],
    ['each word once', { scope: 'read  read' }, 'read'],
  ])('gives of the scope %s, and no offline_access', async (_, asked, scope) => {
    const { access_token } = await signIn()
    expect(await obtain(orders, access_token, asked)).toMatchObject({ scope })
  })

  it('is for what is asked for by resource and by audience, else for what it may go on to', async () => {
    const { access_token } = await signIn({ scope: 'openid read' })
    const narrow = { scope: 'read' }
    const targets = [
      ['audience', mailApi],
      ['resource', stockApi],
      ['audience', stockApi],
    ]
    const response = await app.request('/oauth/token', {
      method: 'POST',
      body: new URLSearchParams([
        ...Object.entries(fieldsOf(orders, access_token, narrow)),
        ...targets,
      ]),
    })
    const { access_token: named } = (await response.json()) as Answer
    expect(decodeJwt(named).aud).toEqual([stockApi, mailApi])
    // None of its own may be asked for: it is for this server alone.
    expect((await claimsAfter(orders, access_token, narrow)).aud).toBe(app.config.server.baseUrl)
    expect((await claimsAfter(stock, named, narrow)).aud).toEqual([stockApi, mailApi])
  })

  it('names the user as the exchanging client knows them', async () => {
    const { user, access_token } = await signIn()
    const pairwise = await addService(ordersApi, {
      subjectType: 'pairwise',
      redirectUris: ['https://orders.example.test/callback'],
    })
    const { sub } = await claimsAfter(pairwise, access_token)
    expect(sub).toMatch(/^[\w-]{43}$/)
    expect(sub).not.toBe(user.id)
  })

  it('does not hand on the claims that another client asked for by name', async () => {
    const claims = JSON.stringify({ userinfo: { email: null } })
    const { access_token } = await signIn({ scope: 'openid read', claims })
    const told = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` }
      return (await app.request('/oauth/userinfo', { headers })).json()
    }
    expect(await told(access_token)).toHaveProperty('email')
    const { access_token: next } = await obtain(orders, access_token)
    expect(await told(next)).toEqual({ sub: expect.any(String) })
  })
})

describe('what comes out of an exchange', () => {
  it('is never for this server where the token that went in was not', async () => {
    const { access_token } = await signIn({ scope: 'read write' })
    expect(decodeJwt(access_token).aud).toBe(ordersApi)
    const untargeted = await addService(ordersApi)
    const { result, moved } = await observeUnchanged(app, () => exchange(untargeted, access_token))
    await expectError(result, 'invalid_target')
    expect(moved).toMatchObject(exchanged('refused'))
  })

  it('has an audience, a scope and an end within what went in, along any chain', async () => {
    const services = await Promise.all([
      addService(ordersApi, { allowedResources: [ordersApi] }),
      addService(ordersApi, { scope: 'openid read' }),
      addService(ordersApi, { allowedResources: [ordersApi, stockApi], scope: 'read write' }),
    ])
    const pick = fc.nat(services.length - 1)
    const scope = fc.constantFrom('read', 'read write', 'openid read write')
    await fc.assert(
      fc.asyncProperty(
        scope,
        fc.array(pick, { minLength: 1, maxLength: 4 }),
        async (asked, path) => {
          let { access_token: before } = await signIn({ scope: asked })
          for (const index of path) {
            const response = await exchange(services[index] ?? shop, before)
            if (response.status !== 200) return
            const { access_token: after } = (await response.json()) as Answer
            const [came, went] = [decodeJwt(before), decodeJwt(after)]
            const within = (name: string) => [came[name]].flat().join(' ').split(' ')
            for (const name of ['aud', 'scope'])
              expect(within(name)).toEqual(
                expect.arrayContaining([went[name]].flat().join(' ').split(' ')),
              )
            expect(went.exp).toBeLessThanOrEqual(came.exp ?? 0)
            before = after
          }
        },
      ),
      { numRuns: 12 },
    )
  })
})

describe('a request to exchange that is wrong', () => {
  type Wrong = Record<string, string | undefined>
  const cases: [what: string, wrong: Wrong, error: string, result?: string][] = [
    ['no subject_token', { subject_token: undefined }, 'invalid_request'],
    ['no subject_token_type', { subject_token_type: undefined }, 'invalid_request'],
    [
      'an ID token',
      { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
      'invalid_request',
    ],
    [
      'a wish for a refresh token',
      { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
      'invalid_request',
    ],
    ['an actor_token', { actor_token: 'a', actor_token_type: accessTokenType }, 'invalid_request'],
    ['an actor_token_type', { actor_token_type: accessTokenType }, 'invalid_request'],
    ['a made-up token', { subject_token: 'none' }, 'invalid_request', 'invalid'],
    ['a JWT that is not ours', { subject_token: 'e30.e30.e30' }, 'invalid_request', 'invalid'],
    ['a scope that the token lacks', { scope: 'read mail' }, 'invalid_scope', 'refused'],
    ['a scope that the client lacks', { scope: 'write' }, 'invalid_scope', 'refused'],
    ['offline_access', { scope: 'read offline_access' }, 'invalid_scope', 'refused'],
    ['a malformed scope', { scope: 'read "all"' }, 'invalid_scope', 'refused'],
    ['a scope of spaces', { scope: '  ' }, 'invalid_scope', 'refused'],
    ['a resource that it may not ask for', { resource: ordersApi }, 'invalid_target', 'refused'],
    ['a resource that is no URI', { resource: 'orders' }, 'invalid_target'],
    ['an audience that it may not ask for', { audience: 'orders' }, 'invalid_target', 'refused'],
    ['an audience of its own name', { audience: ordersApi }, 'invalid_target', 'refused'],
    ['claims of its own', { extra_claims: '{}' }, 'invalid_request'],
  ]
  it.each(cases)('is refused for %s, and changes nothing', async (_, wrong, error, counted) => {
    const { access_token } = await signIn()
    const fields = Object.entries({ ...fieldsOf(orders, access_token), ...wrong })
    const given = fields.filter((field): field is [string, string] => field[1] !== undefined)
    const { result, moved } = await observeUnchanged(app, () =>
      postToken(app, Object.fromEntries(given)),
    )
    await expectError(result, error)
    expect(moved).toEqual({
      ...authenticated(),
      ...(counted && exchanged(counted)),
      ...errors(error),
    })
  })

  it.each(['subject_token', 'subject_token_type', 'scope'])(
    'is refused for two parameters named %s',
    async (name) => {
      const { access_token } = await signIn()
      const body = new URLSearchParams(fieldsOf(orders, access_token, { scope: 'read' }))
      body.append(name, body.get(name) ?? '')
      const { result, moved } = await observeUnchanged(app, () =>
        app.request('/oauth/token', { method: 'POST', body }),
      )
      await expectError(result, 'invalid_request')
      expect(moved).toEqual(errors('invalid_request'))
    },
  )

  it('is refused where none of the scope remains', async () => {
    const { access_token } = await signIn({ scope: 'openid offline_access write' })
    const writer = await addService(ordersApi, { scope: 'offline_access mail' })
    const { result, moved } = await observeUnchanged(app, () => exchange(writer, access_token))
    await expectError(result, 'invalid_scope')
    expect(moved).toMatchObject(exchanged('refused'))
  })

  it('is told the same by a client with no part in the token and by one with a made-up token', async () => {
    const { access_token } = await signIn()
    const { result, moved } = await observeUnchanged(app, () => exchange(stock, access_token))
    expect(moved).toEqual({
      ...authenticated(),
      ...exchanged('not_entitled'),
      ...errors('invalid_request'),
    })
    const answers = [result, await exchange(stock, `${access_token}x`)]
    const [foreign, madeUp] = await Promise.all(answers.map((answer) => answer.json()))
    expect(foreign).toMatchObject({ error: 'invalid_request' })
    expect(foreign).toEqual(madeUp)
  })

  it('is refused for a refresh token, even of the client’s own', async () => {
    const { refresh_token } = await signIn()
    const { result, moved } = await observeUnchanged(app, () => exchange(shop, refresh_token))
    await expectError(result, 'invalid_request')
    expect(moved).toMatchObject(exchanged('invalid'))
  })

  it('is refused for a token that stands for no user', async () => {
    const grant = { grant_type: 'client_credentials', resource: ordersApi, ...shown(shop) }
    const { access_token } = (await (await postToken(app, grant)).json()) as Answer
    const { result, moved } = await observeUnchanged(app, () => exchange(orders, access_token))
    await expectError(result, 'invalid_request')
    expect(moved).toMatchObject(exchanged('refused'))
  })

  it('is refused to public clients, even if they are registered for it', async () => {
    const { access_token } = await signIn()
    const { id } = await addService(ordersApi, { type: 'public' })
    const { client_secret: _, ...fields } = fieldsOf({ id, secret: '' }, access_token)
    const { result, moved } = await observeUnchanged(app, () => postToken(app, fields))
    await expectError(result, 'unauthorized_client')
    expect(moved).toEqual({ ...authenticated('none'), ...errors('unauthorized_client') })
  })

  it('is refused to clients that are not registered for it', async () => {
    const { access_token } = await signIn()
    const other = await addService(ordersApi, { grantTypes: ['client_credentials'] })
    const { result } = await observeUnchanged(app, () => exchange(other, access_token))
    await expectError(result, 'unauthorized_client')
  })

  it('is refused to whoever does not know the secret, by both methods, and to both at once', async () => {
    const { access_token } = await signIn()
    const basic = (secret: string) => basicAuth(orders.id, secret)
    const wrong = { ...orders, secret: 'wrong' }
    const byForm = await observeUnchanged(app, () => exchange(wrong, access_token))
    await expectError(byForm.result, 'invalid_client', 401)
    expect(byForm.moved).toEqual({
      ...authenticated('client_secret_post', 'failure'),
      ...errors('invalid_client'),
    })
    const { client_id: _, client_secret: __, ...bare } = fieldsOf(orders, access_token)
    const byHeader = await observeUnchanged(app, () => postToken(app, bare, basic('wrong')))
    await expectError(byHeader.result, 'invalid_client', 401)
    const both = await observeUnchanged(app, () =>
      exchange(orders, access_token, {}, basic(orders.secret)),
    )
    await expectError(both.result, 'invalid_request')
    expect((await postToken(app, bare, basic(orders.secret))).status).toBe(200)
  })

  it('is refused in another content type', async () => {
    const { access_token } = await signIn()
    const { result } = await observeUnchanged(app, () =>
      app.request('/oauth/token', {
        method: 'POST',
        body: JSON.stringify(fieldsOf(orders, access_token)),
        headers: { 'content-type': 'application/json' },
      }),
    )
    await expectError(result, 'invalid_request')
  })
})

describe('a token that is bound to a key (RFC 9449)', () => {
  const prove = (key: ProofKey) =>
    signDpopProof(key, {
      htm: 'POST',
      htu: `${app.config.server.baseUrl}/oauth/token`,
      now: app.now(),
    })
  const jktOf = (token: string) => (decodeJwt(token)['cnf'] as { jkt: string } | undefined)?.jkt

  it('is exchanged with its key alone, by its own client, and by no service that was sent it', async () => {
    const [key, other] = await Promise.all([createKey(), createKey()])
    const { access_token } = await signIn({}, { dpop: await prove(key) })
    expect(jktOf(access_token)).toBe(key.jkt)
    const refused = [
      [shop, {}],
      [shop, { dpop: await prove(other) }],
      [orders, {}],
      [orders, { dpop: await prove(other) }],
    ] as const
    for (const [by, headers] of refused) {
      const { result, moved } = await observe(app, () => exchange(by, access_token, {}, headers))
      await expectError(result, 'invalid_request')
      expect(moved).toMatchObject(exchanged('refused'))
    }
    const own = { dpop: await prove(key) }
    const answer = (await (await exchange(shop, access_token, {}, own)).json()) as Answer
    expect([answer['token_type'], jktOf(answer.access_token)]).toEqual(['DPoP', key.jkt])
  })

  it('is what a service gets that proves a key of its own', async () => {
    const key = await createKey()
    const { access_token } = await signIn()
    const response = await exchange(orders, access_token, {}, { dpop: await prove(key) })
    const answer = (await response.json()) as Answer
    expect([answer['token_type'], jktOf(answer.access_token)]).toEqual(['DPoP', key.jkt])
  })

  it('has to be asked for by a client that is registered to send proofs', async () => {
    const { access_token } = await signIn()
    const strict = await addService(ordersApi, { dpopBoundAccessTokens: true })
    await expectError(await exchange(strict, access_token), 'invalid_request')
  })
})

describe('what was exchanged ends with what it came from', () => {
  const at = () => ({ origin: systemOrigin, now: app.now() })

  const consentTo = async (user: User, name: string) =>
    (await listConsents(app.database.db, user.id)).find(({ clientName }) => clientName === name)
      ?.id ?? ''

  const takeBack = (user: User, id: string) =>
    revokeConsent(app.database.db, { id, user, now: app.now() }, systemOrigin)

  /** Two hops: from the shop to the orders, and on to the stock. */
  async function chain(by = shop) {
    const subject = await signIn({}, { by })
    const first = await obtain(orders, subject.access_token, { resource: stockApi })
    const second = await obtain(stock, first.access_token)
    return { ...subject, hops: [first.access_token, second.access_token] as const }
  }

  const liveOf = (of: readonly string[]) => Promise.all(of.map(isLive))

  it('when the user takes the consent of the first client back', async () => {
    const { user, access_token, hops } = await chain()
    const other = await signIn()
    const kept = await obtain(orders, other.access_token)
    const { result } = await observe(app, async () =>
      takeBack(user, await consentTo(user, 'Test app')),
    )
    expect(result?.tokens).toEqual({ reason: 'consent_revoked', access: 3, refresh: 1 })
    expect(await liveOf([access_token, ...hops])).toEqual([false, false, false])
    expect(await isLive(kept.access_token)).toBe(true)
    await expectError(await exchange(orders, access_token), 'invalid_request')
    await expectError(await exchange(stock, hops[0]), 'invalid_request')
  })

  it('and leaves alone what another client holds by a consent of its own', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    await browser.signIn(user.username)
    const portal = await addShop({ name: 'Portal', servedResources: [ordersApi] })
    const walk = async (by: Party) => {
      const code = await obtainCode(browser, by.id, { scope: 'openid read', resource: ordersApi })
      const response = await redeemCode(app, by.id, code, { client_secret: by.secret })
      return ((await response.json()) as Tokens).access_token
    }
    const [fromShop, ofPortal] = [await walk(shop), await walk(portal)]
    const { access_token: handedOn } = await obtain(portal, fromShop, { resource: stockApi })
    await takeBack(user, await consentTo(user, 'Test app'))
    expect(await liveOf([fromShop, handedOn, ofPortal])).toEqual([false, false, true])
  })

  it('when the user does not consent to the first client any more, whatever the others hold', async () => {
    const { user, hops } = await chain()
    await takeBack(user, await consentTo(user, 'Test app'))
    // As a replica sees it that has read the token before it ended.
    await app.database.db
      .update(tokens)
      .set({ revokedAt: null, revocationReason: null })
      .where(eq(tokens.id, decodeJwt(hops[0]).jti ?? ''))
    const { result, moved } = await observeUnchanged(app, () => exchange(stock, hops[0]))
    await expectError(result, 'invalid_request')
    expect(moved).toMatchObject(exchanged('invalid'))
  })

  it('when the refresh token it goes back to is used twice, or revoked', async () => {
    const refresh = (refresh_token: string) =>
      postToken(app, { grant_type: 'refresh_token', refresh_token, ...shown(shop) })
    const stolen = await chain()
    const { refresh_token } = (await (await refresh(stolen.refresh_token)).json()) as Tokens
    await refresh(refresh_token)
    await expectError(await refresh(stolen.refresh_token), 'invalid_grant')
    expect(await liveOf(stolen.hops)).toEqual([false, false])

    const signedOut = await chain()
    const body = new URLSearchParams({ token: signedOut.refresh_token, ...shown(shop) })
    await app.request('/oauth/revoke', { method: 'POST', body })
    expect(await liveOf(signedOut.hops)).toEqual([false, false])
  })

  it('when the password changes', async () => {
    const { user, hops } = await chain()
    const actor = await addAdmin(app.database.db)
    await changePassword(app.database.db, { id: user.id, passwordHash: 'x' }, { actor, ...at() })
    expect(await liveOf(hops)).toEqual([false, false])
  })

  it('when the first client is deactivated', async () => {
    const by = await addShop()
    const { hops } = await chain(by)
    const change = { clientId: by.id, status: 'inactive' } as const
    const changed = await setClientStatus(app.database.db, change, at())
    expect(changed?.ended.tokens).toEqual({ reason: 'client_inactive', access: 3, refresh: 1 })
    expect(await liveOf(hops)).toEqual([false, false])
  })

  it('when a client on the way is deactivated, and what came before goes on', async () => {
    const { access_token } = await signIn()
    const between = await addService(ordersApi, { allowedResources: [stockApi] })
    const { access_token: first } = await obtain(between, access_token, { resource: stockApi })
    const { access_token: second } = await obtain(stock, first)
    const change = { clientId: between.id, status: 'inactive' } as const
    const changed = await setClientStatus(app.database.db, change, at())
    expect(changed?.ended.tokens).toEqual({ reason: 'client_inactive', access: 2, refresh: 0 })
    expect(await liveOf([access_token, first, second])).toEqual([true, false, false])
  })

  it('when its client revokes the access token, and is counted with it', async () => {
    const { access_token, hops } = await chain()
    const body = new URLSearchParams({ token: access_token, ...shown(shop) })
    const { moved } = await observe(app, () =>
      app.request('/oauth/revoke', { method: 'POST', body }),
    )
    expect(moved).toMatchObject({
      'oauth_tokens_revoked_total{reason="client_request",token_type="access"}': 3,
      'oauth_tokens_active{token_type="access"}': -3,
    })
    await expectError(await exchange(orders, access_token), 'invalid_request')
    expect(await liveOf(hops)).toEqual([false, false])
  })

  const takers: [string, (subject: Subject, by: Party) => Promise<unknown>][] = [
    [
      'a consent is taken back',
      async ({ user }) => takeBack(user, await consentTo(user, 'Test app')),
    ],
    [
      'a refresh token is revoked',
      ({ refresh_token }, by) =>
        app.request('/oauth/revoke', {
          method: 'POST',
          body: new URLSearchParams({ token: refresh_token, ...shown(by) }),
        }),
    ],
    [
      'a client is deactivated',
      (_, { id }) => setClientStatus(app.database.db, { clientId: id, status: 'inactive' }, at()),
    ],
  ]
  const liveOfFamily = (familyId: string) =>
    app.database.db
      .select()
      .from(tokens)
      .where(
        and(
          eq(tokens.familyId, familyId),
          isNull(tokens.revokedAt),
          gt(tokens.expiresAt, app.now()),
        ),
      )

  it.each(takers)('leaves no live token behind when %s meanwhile', async (_, take) => {
    for (let round = 0; round < 3; round += 1) {
      const by = await addShop()
      const subject = await signIn({}, { by })
      const first = await obtain(orders, subject.access_token, { resource: stockApi })
      const some = () => [
        ...Array.from({ length: 5 }, () => exchange(orders, subject.access_token)),
        ...Array.from({ length: 5 }, () => exchange(stock, first.access_token)),
      ]
      const { familyId } = await rowOf(first.access_token)
      const answers = await Promise.all([
        ...some(),
        take(subject, by).then(() => undefined),
        ...some(),
      ])
      const statuses = answers.flatMap((answer) => answer?.status ?? [])
      expect(statuses.filter((status) => status !== 200 && status !== 400)).toEqual([])
      expect(await liveOfFamily(familyId)).toEqual([])
    }
  })

  it.each<[string, (subject: Subject, between: Party) => Promise<unknown>]>([
    [
      'the token it all comes from is revoked',
      ({ access_token }) =>
        app.request('/oauth/revoke', {
          method: 'POST',
          body: new URLSearchParams({ token: access_token, ...shown(shop) }),
        }),
    ],
    [
      'the first client on the way is deactivated',
      (_, { id }) => setClientStatus(app.database.db, { clientId: id, status: 'inactive' }, at()),
    ],
  ])('leaves nothing behind that was exchanged when %s meanwhile', async (_, take) => {
    for (let round = 0; round < 3; round += 1) {
      const between = await addService(ordersApi, { allowedResources: [stockApi] })
      const subject = await signIn()
      const { access_token: first } = await obtain(between, subject.access_token, {
        resource: stockApi,
      })
      const { access_token: second } = await obtain(stock, first)
      const some = () =>
        Array.from({ length: 4 }, () => [exchange(stock, first), exchange(stock, second)]).flat()
      const { familyId } = await rowOf(first)
      await Promise.all([...some(), take(subject, between), ...some()])
      const live = await liveOfFamily(familyId)
      expect(live.filter(({ parentId }) => parentId !== null)).toEqual([])
    }
  })
})

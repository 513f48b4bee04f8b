import { and, eq, isNull } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tokens } from '#/database/schema/tokens.ts'
import type { NewClient } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { basicAuth } from '../support/client.ts'
import { obtainCode, postToken, redeemCode } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { createKey, keySetOf, signAssertion } from '../support/proofs.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let browser: Browser
let cli: Party
let shop: Party
let stranger: Party
beforeAll(async () => {
  app = await startTestApp()
  const user = await addUser(app.database.db)
  browser = openBrowser(app)
  await browser.signIn(user.username)
  cli = await addParty({ type: 'public' })
  shop = await addParty({
    grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
    scope: 'openid offline_access read',
  })
  stranger = await addParty()
})
afterAll(() => app.close())

interface Party {
  readonly id: string
  readonly secret: string | undefined
}

async function addParty(more: Partial<NewClient> = {}): Promise<Party> {
  const { client, secret } = await addClient(app.database.db, { type: 'confidential', ...more })
  return { id: client.clientId, secret }
}

/** How a party says who it is. */
const shown = ({ id, secret }: Party): Record<string, string> => ({
  client_id: id,
  ...(secret !== undefined && { client_secret: secret }),
})

const basic = ({ id, secret = '' }: Party) => basicAuth(id, secret)

const form = { 'content-type': 'application/x-www-form-urlencoded' }

const send = (body: string, headers: Record<string, string> = {}) =>
  app.request('/oauth/revoke', { method: 'POST', body, headers: { ...form, ...headers } })

const revoke = (token: string, by: Record<string, string> = {}) =>
  send(new URLSearchParams({ token, ...by }).toString())

interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
}

async function tokensOf(party: Party): Promise<Tokens> {
  const scope = 'openid offline_access'
  const code = await obtainCode(browser, party.id, { scope })
  return (await redeemCode(app, party.id, code, shown(party))).json() as Promise<Tokens>
}

const refresh = async (party: Party, { refresh_token }: Tokens) => {
  const grant = { grant_type: 'refresh_token', refresh_token }
  return (await postToken(app, { ...grant, ...shown(party) })).json() as Promise<Tokens>
}

const isLive = async (access: string) => {
  const headers = { authorization: `Bearer ${access}` }
  return (await app.request('/oauth/tokeninfo', { headers })).status === 200
}

const expectDone = async (response: Response) => {
  expect([response.status, await response.text()]).toEqual([200, ''])
  expect(response.headers.get('cache-control')).toBe('no-store')
}

const authenticated = (party: Party) => ({
  [`authgate_client_authentications_total{method="${
    party.secret === undefined ? 'none' : 'client_secret_post'
  }",result="success"}`]: 1,
})
const failed = (method: string) => ({
  [`authgate_client_authentications_total{method="${method}",result="failure"}`]: 1,
})
const ended = (type: 'access' | 'refresh', n = 1) => ({
  [`oauth_tokens_revoked_total{reason="client_request",token_type="${type}"}`]: n,
  [`oauth_tokens_active{token_type="${type}"}`]: -n,
})
const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/revoke",error="${error}"}`]: 1,
})

describe('POST /oauth/revoke by the client of the token', () => {
  it.each([
    ['a public client', () => cli],
    ['a confidential client', () => shop],
  ])('ends the whole family of a refresh token of %s, once', async (_, of) => {
    const party = of()
    const first = await tokensOf(party)
    const second = await refresh(party, first)
    const audited = await countAudit(app, 'TOKEN_REVOKED')
    const { result, moved } = await observe(app, () => revoke(second.refresh_token, shown(party)))
    await expectDone(result)
    expect(moved).toEqual({ ...authenticated(party), ...ended('refresh'), ...ended('access', 2) })
    expect(await countAudit(app, 'TOKEN_REVOKED')).toBe(audited + 1)
    expect([await isLive(first.access_token), await isLive(second.access_token)]).toEqual([
      false,
      false,
    ])
    const again = await observeUnchanged(app, () => revoke(second.refresh_token, shown(party)))
    await expectDone(again.result)
    expect(again.moved).toEqual(authenticated(party))
    expect(await countAudit(app, 'TOKEN_REVOKED')).toBe(audited + 1)
    expect(await refresh(party, second)).toMatchObject({ error: 'invalid_grant' })
  })

  it('ends the family also for a refresh token that was used before: its client may know no other', async () => {
    const first = await tokensOf(cli)
    const second = await refresh(cli, first)
    await expectDone(await revoke(first.refresh_token, shown(cli)))
    expect(await refresh(cli, second)).toMatchObject({ error: 'invalid_grant' })
  })

  it('ends an access token alone: the client can refresh', async () => {
    const first = await tokensOf(shop)
    const { result, moved } = await observe(app, () => revoke(first.access_token, shown(shop)))
    await expectDone(result)
    expect(moved).toEqual({ ...authenticated(shop), ...ended('access') })
    expect(await isLive(first.access_token)).toBe(false)
    const second = await refresh(shop, first)
    expect(await isLive(second.access_token)).toBe(true)
    const again = await observeUnchanged(app, () => revoke(first.access_token, shown(shop)))
    expect(again.moved).toEqual(authenticated(shop))
  })

  it('ends the token of a client that acts for itself', async () => {
    const grant = { grant_type: 'client_credentials', ...shown(shop) }
    const { access_token } = (await (await postToken(app, grant)).json()) as Tokens
    await expectDone(await revoke(access_token, shown(shop)))
    expect(await isLive(access_token)).toBe(false)
  })

  it.each(['access_token', 'refresh_token', 'unheard-of'])(
    'finds either type of token under the hint %s',
    async (token_type_hint) => {
      const { access_token, refresh_token } = await tokensOf(cli)
      await expectDone(await revoke(access_token, { ...shown(cli), token_type_hint }))
      expect(await isLive(access_token)).toBe(false)
      await expectDone(await revoke(refresh_token, { ...shown(cli), token_type_hint }))
      const refused = { access_token, refresh_token }
      expect(await refresh(cli, refused)).toMatchObject({ error: 'invalid_grant' })
    },
  )

  it('counts each row once, however many ask at the same moment', async () => {
    const { refresh_token } = await tokensOf(cli)
    const { moved } = await observe(app, async () => {
      const all = Array.from({ length: 10 }, () => revoke(refresh_token, shown(cli)))
      for (const response of await Promise.all(all)) expect(response.status).toBe(200)
    })
    expect(moved).toMatchObject({ ...ended('refresh'), ...ended('access') })
  })

  it('leaves nothing live of a family that is refreshed at the same moment', async () => {
    for (let n = 0; n < 10; n += 1) {
      const first = await tokensOf(cli)
      await Promise.all([
        refresh(cli, first),
        revoke(first.refresh_token, shown(cli)),
        refresh(cli, first),
      ])
      // Whoever was second found the family ended, or ended what the first had left.
      const rows = await app.database.db
        .select()
        .from(tokens)
        .where(and(eq(tokens.clientId, cli.id), isNull(tokens.revokedAt)))
      expect(rows.filter(({ expiresAt }) => expiresAt > app.now())).toEqual([])
    }
  })
})

describe('POST /oauth/revoke without naming a client', () => {
  it('is enough for a token of a public client, which could prove no more', async () => {
    const { access_token, refresh_token } = await tokensOf(cli)
    const one = await observe(app, () => revoke(access_token))
    await expectDone(one.result)
    expect(one.moved).toEqual(ended('access'))
    const rest = await observe(app, () =>
      revoke(refresh_token, { token_type_hint: 'access_token' }),
    )
    await expectDone(rest.result)
    expect(rest.moved).toEqual(ended('refresh'))
  })

  it('asks for authentication when the client is confidential', async () => {
    const { access_token, refresh_token } = await tokensOf(shop)
    for (const token of [access_token, refresh_token]) {
      const { result, moved } = await observeUnchanged(app, () => revoke(token))
      expect([result.status, result.headers.get('www-authenticate')]).toEqual([
        401,
        'Basic realm="authgate", charset="UTF-8"',
      ])
      expect(await result.json()).toMatchObject({ error: 'invalid_client' })
      expect(moved).toEqual({ ...errors('invalid_client'), ...failed('client_secret_basic') })
    }
  })
})

describe('POST /oauth/revoke with nothing to end', () => {
  it.each([
    ['made up', 'made-up'],
    ['of three parts that are none', 'a.b.c'],
    ['of other letters', 'ключ'],
  ])('answers 200 to a token that is %s', async (_, token) => {
    for (const by of [{}, shown(cli), shown(shop)]) {
      const { result } = await observeUnchanged(app, () => revoke(token, by))
      await expectDone(result)
    }
  })

  it('refuses what belongs to another client, and changes nothing', async () => {
    const ours = await tokensOf(cli)
    const theirs = await tokensOf(shop)
    const attempts = [
      [stranger, ours],
      [stranger, theirs],
      [cli, theirs],
      [shop, ours],
    ] as const
    for (const [party, { access_token, refresh_token }] of attempts) {
      for (const token of [access_token, refresh_token]) {
        const { result, moved } = await observeUnchanged(app, () => revoke(token, shown(party)))
        expect([result.status, await result.json()]).toEqual([
          400,
          expect.objectContaining({ error: 'invalid_grant' }),
        ])
        expect(moved).toEqual({ ...errors('invalid_grant'), ...authenticated(party) })
      }
    }
  })

  it('leaves a token alone that has expired by itself', async () => {
    const { access_token } = await tokensOf(cli)
    const past = new Date(app.now().getTime() - 1000)
    await app.database.db
      .update(tokens)
      .set({ expiresAt: past })
      .where(and(eq(tokens.clientId, cli.id), isNull(tokens.revokedAt)))
    const { result, moved } = await observeUnchanged(app, () => revoke(access_token, shown(cli)))
    await expectDone(result)
    expect(moved).toEqual(authenticated(cli))
  })
})

describe('POST /oauth/revoke with a request that is none', () => {
  type Case = [
    string,
    () => [string, Record<string, string>],
    number,
    string,
    Record<string, number>,
  ]
  const basicOk = {
    'authgate_client_authentications_total{method="client_secret_basic",result="success"}': 1,
  }
  const cases: Case[] = [
    ['no token', () => ['', basic(shop)], 400, 'invalid_request', basicOk],
    ['no token and no client', () => ['', {}], 400, 'invalid_request', {}],
    ['an empty token', () => ['token=', basic(shop)], 400, 'invalid_request', basicOk],
    ['a repeated token', () => ['token=a&token=b', {}], 400, 'invalid_request', {}],
    ['a NUL', () => ['token=%00', {}], 400, 'invalid_request', {}],
    [
      'another content type',
      () => ['{"token":"a"}', { 'content-type': 'application/json' }],
      400,
      'invalid_request',
      {},
    ],
    [
      'two ways of authentication',
      () => [`token=a&client_id=${shop.id}&client_secret=${shop.secret}`, basic(shop)],
      400,
      'invalid_request',
      {},
    ],
    [
      'a confidential client that only names itself',
      () => [`token=a&client_id=${shop.id}`, {}],
      401,
      'invalid_client',
      failed('none'),
    ],
    [
      'an unknown client',
      () => ['token=a&client_id=unknown', {}],
      401,
      'invalid_client',
      failed('none'),
    ],
    [
      'a wrong secret',
      () => ['token=a', basic({ ...shop, secret: 'wrong' })],
      401,
      'invalid_client',
      failed('client_secret_basic'),
    ],
    [
      'a secret without its client',
      () => [`token=a&client_secret=${shop.secret}`, {}],
      400,
      'invalid_request',
      {},
    ],
    [
      'a bearer token instead of a client',
      () => ['token=a', { authorization: 'Bearer a.b.c' }],
      401,
      'invalid_client',
      failed('client_secret_basic'),
    ],
  ]
  it.each(cases)('answers %s and changes nothing', async (_, request, status, error, more) => {
    const { result, moved } = await observeUnchanged(app, () => send(...request()))
    expect(result.status).toBe(status)
    expect(result.headers.get('cache-control')).toBe('no-store')
    expect(result.headers.has('www-authenticate')).toBe(status === 401)
    expect(await result.json()).toEqual({ error, error_description: expect.any(String) })
    expect(moved).toEqual({ ...errors(error), ...more })
  })

  it('answers GET with 405, so that no token comes to stand in an address', async () => {
    const response = await app.request('/oauth/revoke?token=a')
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
  })

  it('takes a signed assertion, once, and tells a stranger that it is one', async () => {
    const key = await createKey()
    const party = await addParty({
      tokenEndpointAuthMethod: 'private_key_jwt',
      jwks: keySetOf(key),
    })
    const audience = app.config.server.baseUrl
    const sign = async () => ({
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await signAssertion(key, {
        clientId: party.id,
        audience,
        now: app.now(),
      }),
    })
    const assertion = await sign()
    await expectDone(await revoke('made-up', assertion))
    expect((await revoke('made-up', assertion)).status).toBe(401)
    const { refresh_token } = await tokensOf(cli)
    const refused = await revoke(refresh_token, await sign())
    expect([refused.status, await refused.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_grant' }),
    ])
  })
})

describe('limits', () => {
  it('bound the anonymous by address, and proven clients by client', async () => {
    const limited = await startTestApp({
      settings: { ENABLE_RATE_LIMIT: 'true', REVOKE_RATE_LIMIT: '2', CLIENT_RATE_LIMIT: '3' },
      replicaOf: app,
    })
    const ask = async (headers: Record<string, string>) => {
      const init = { method: 'POST', body: 'token=x', headers: { ...form, ...headers } }
      return (await limited.request('/oauth/revoke', init)).status
    }
    expect([await ask({}), await ask({}), await ask({})]).toEqual([200, 200, 429])
    const proven = basic(shop)
    expect([await ask(proven), await ask(proven), await ask(proven), await ask(proven)]).toEqual([
      200, 200, 200, 429,
    ])
    const samples = await limited.samples()
    expect(samples.get('rate_limit_exceeded_total{endpoint="/oauth/revoke"}')).toBe(2)
    await limited.close()
  })
})

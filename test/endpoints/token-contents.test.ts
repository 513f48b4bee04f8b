/** What an operator decides about a client's tokens: how long they live, and what the client may put into them. */
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { obtainCode, obtainTokens, postToken, redeemCode } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { observeUnchanged } from './refusals.ts'

let app: TestApp
let browser: Browser
beforeAll(async () => {
  app = await startTestApp({
    settings: {
      TOKEN_PROFILE_SHORT_ACCESS_TTL: '2m',
      TOKEN_PROFILE_LONG_ACCESS_TTL: '3h',
      REFRESH_TOKEN_EXPIRATION: '20h',
      TOKEN_PROFILE_SHORT_REFRESH_TTL: '10h',
      TOKEN_PROFILE_LONG_REFRESH_TTL: '30h',
      REFRESH_TOKEN_EXPIRATION_MAX: '30h',
    },
  })
  browser = openBrowser(app)
  await browser.signIn((await addUser(app.database.db)).username)
})
afterAll(() => app.close())

const addOne = async (more: Parameters<typeof addClient>[1] = {}) =>
  (await addClient(app.database.db, more)).client.clientId

describe('token profiles', () => {
  it.each([
    ['short', 120],
    ['standard', 3600],
    ['long', 3 * 3600],
  ] as const)('gives the %s one %i seconds, and says so truly', async (tokenProfile, seconds) => {
    const tokens = await obtainTokens(app, browser, await addOne({ tokenProfile }))
    expect(tokens.expires_in).toBe(seconds)
    const { iat = 0, exp = 0 } = decodeJwt(tokens.access_token)
    expect(exp - iat).toBe(seconds)
  })

  it('ends a family in the end, however often it rotates', async () => {
    const clientId = await addOne({ tokenProfile: 'long' })
    let { refresh_token } = await obtainTokens(app, browser, clientId)
    const refresh = async () => {
      const answer = await postToken(app, {
        grant_type: 'refresh_token',
        client_id: clientId,
        refresh_token,
      })
      return { status: answer.status, body: (await answer.json()) as Record<string, string> }
    }
    for (const hours of [10, 10]) {
      app.advance(hours * 3_600_000)
      const { status, body } = await refresh()
      expect(status).toBe(200)
      refresh_token = body['refresh_token'] ?? ''
    }
    app.advance(10 * 3_600_000)
    const { status, body } = await refresh()
    expect(status).toBe(400)
    expect(body['error']).toBe('invalid_grant')
  })
})

describe('extra_claims', () => {
  const claims = { tenant: 'a', iss: 'https://evil.example', nested: { roles: ['admin'] } }

  it('stand under one name of their own, and replace nothing', async () => {
    await browser.signIn((await addUser(app.database.db)).username)
    const clientId = await addOne({ extraClaims: true })
    const answer = await redeemCode(app, clientId, await obtainCode(browser, clientId), {
      extra_claims: JSON.stringify(claims),
    })
    const { access_token, id_token } = (await answer.json()) as Record<string, string>
    const access = decodeJwt(access_token ?? '')
    expect(access['extra']).toEqual(claims)
    expect(access.iss).toBe(app.config.server.baseUrl)
    expect(access).not.toHaveProperty('tenant')
    expect(decodeJwt(id_token ?? '')).not.toHaveProperty('extra')
  })

  it.each([
    ['a client that may not send them', '{"a":1}', { extraClaims: false }],
    ['what is not JSON', '{', { extraClaims: true }],
    ['a list', '[]', { extraClaims: true }],
    ['null', 'null', { extraClaims: true }],
    ['too long a text', `{"a":"${'x'.repeat(4096)}"}`, { extraClaims: true }],
    ['too long a value', `{"a":"${'x'.repeat(512)}"}`, { extraClaims: true }],
    [
      'too many members',
      JSON.stringify(Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, n]))),
      { extraClaims: true },
    ],
  ])('are refused from %s, and the code stays usable', async (_, extra_claims, more) => {
    const clientId = await addOne(more)
    const code = await obtainCode(browser, clientId)
    const { result } = await observeUnchanged(app, () =>
      redeemCode(app, clientId, code, { extra_claims }),
    )
    expect(result.status).toBe(400)
    expect(await result.json()).toMatchObject({ error: 'invalid_request' })
    expect((await redeemCode(app, clientId, code)).status).toBe(200)
  })
})

/** What is told about a user, where, and under what name (OIDC Core §5 and §8). */
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewClient } from '#/domain/clients/clients.ts'
import { subjectOf } from '#/domain/clients/subject.ts'
import { signingAlgorithms } from '#/protocol/vocabulary.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { authorizePath, obtainTokens, parametersOf } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { observeUnchanged } from './refusals.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

async function setUp(client: Partial<NewClient> = {}, user?: Awaited<ReturnType<typeof addUser>>) {
  const person = user ?? (await addUser(app.database.db))
  const { clientId } = (await addClient(app.database.db, client)).client
  const browser = openBrowser(app)
  await browser.signIn(person.username)
  const tokens = (more: Record<string, string> = {}) => obtainTokens(app, browser, clientId, more)
  return { user: person, clientId, browser, tokens }
}

const userinfo = (token: string) =>
  app.request('/oauth/userinfo', { headers: { authorization: `Bearer ${token}` } })

const toldBy = async (token: string) => (await (await userinfo(token)).json()) as object

/** What an ID token tells of its user beyond their name. */
const personal = ['name', 'preferred_username', 'updated_at', 'email', 'email_verified'] as const
const personalIn = (claims: object) => personal.filter((name) => name in claims)

describe('claims', () => {
  it('that the scope tells are told by userinfo, and not by the ID token (§5.4)', async () => {
    const { user, tokens } = await setUp()
    const { access_token, id_token } = await tokens({ scope: 'openid profile email' })
    expect(personalIn(decodeJwt(id_token))).toEqual([])
    expect(await toldBy(access_token)).toEqual({
      sub: user.id,
      name: 'Ada Example',
      preferred_username: user.username,
      updated_at: Math.floor(user.updatedAt.getTime() / 1000),
      email: user.email,
      email_verified: false,
    })
  })

  it('that are asked for by name are told where they are asked for, and nowhere else', async () => {
    const { user, tokens } = await setUp()
    const claims = JSON.stringify({
      id_token: { email: { essential: true }, picture: null, name: { value: 'Somebody Else' } },
      userinfo: { preferred_username: null, 'name#de': null, constructor: null },
    })
    const { access_token, id_token } = await tokens({ scope: 'openid', claims })
    expect(personalIn(decodeJwt(id_token))).toEqual(['name', 'email'])
    expect(decodeJwt(id_token)).toMatchObject({ email: user.email, name: 'Ada Example' })
    expect(await toldBy(access_token)).toEqual({ sub: user.id, preferred_username: user.username })
  })

  it('that a client is not registered for are not told, however essential', async () => {
    const { user, tokens } = await setUp({ scope: 'openid profile' })
    const asked = { email: { essential: true }, name: null }
    const claims = JSON.stringify({ id_token: asked, userinfo: asked })
    const { access_token, id_token } = await tokens({ scope: 'openid', claims })
    expect(personalIn(decodeJwt(id_token))).toEqual(['name'])
    expect(await toldBy(access_token)).toEqual({ sub: user.id, name: 'Ada Example' })
  })

  it('stay the same after a refresh', async () => {
    const { clientId, tokens } = await setUp()
    const claims = JSON.stringify({ id_token: { email: null }, userinfo: { name: null } })
    const first = await tokens({ scope: 'openid offline_access', claims })
    const answer = await app.request('/oauth/token', {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: clientId,
        refresh_token: first.refresh_token,
      }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    const next = (await answer.json()) as typeof first
    expect(personalIn(decodeJwt(next.id_token))).toEqual(['email'])
    expect(personalIn(await toldBy(next.access_token))).toEqual(['name'])
  })
})

describe('userinfo', () => {
  it.each(signingAlgorithms)('is signed with %s for a client that wants it so', async (alg) => {
    const { user, clientId, tokens } = await setUp({ userinfoSignedResponseAlg: alg })
    const { access_token } = await tokens({ scope: 'openid email' })
    const { result: answer, moved } = await observeUnchanged(app, () => userinfo(access_token))
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/jwt'])
    expect(moved).toEqual({ 'oauth_token_validation_total{result="valid"}': 1 })
    const jwks = await (await app.request('/.well-known/jwks.json')).json()
    const { payload, protectedHeader } = await jwtVerify(
      await answer.text(),
      createLocalJWKSet(jwks as Parameters<typeof createLocalJWKSet>[0]),
    )
    expect(protectedHeader.alg).toBe(alg)
    expect(payload).toEqual({
      iss: app.config.server.baseUrl,
      aud: clientId,
      sub: user.id,
      email: user.email,
      email_verified: false,
    })
  })

  it('refuses in JSON also a client that wants it signed', async () => {
    const answer = await userinfo('a.b.c')
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
  })

  it('a signed answer opens nothing: it is no access token', async () => {
    const { tokens } = await setUp({ userinfoSignedResponseAlg: 'ES256' })
    const signed = await (await userinfo((await tokens()).access_token)).text()
    expect(decodeProtectedHeader(signed).typ).toBe('JWT')
    expect((await userinfo(signed)).status).toBe(401)
  })
})

describe('pairwise subjects', () => {
  const at = (host: string) => ({
    subjectType: 'pairwise' as const,
    redirectUris: [redirectUri],
    sectorIdentifierUri: `https://${host}/sector.json`,
  })

  it('are the same in all tokens of a sector, and another one in every other', async () => {
    const first = await setUp(at('one.example.test'))
    const { user } = first
    const sibling = await setUp(at('one.example.test'), user)
    const foreign = await setUp(at('two.example.test'), user)
    const unnamed = await setUp({ subjectType: 'pairwise' }, user)
    const subjects = []
    for (const { tokens } of [first, sibling, foreign, unnamed]) {
      const { access_token, id_token } = await tokens()
      const { sub } = decodeJwt(id_token)
      expect(decodeJwt(access_token).sub).toBe(sub)
      expect(await toldBy(access_token)).toMatchObject({ sub })
      expect(sub).toMatch(/^[\w-]{43}$/)
      subjects.push(sub)
    }
    expect(subjects[1]).toBe(subjects[0])
    expect(new Set(subjects).size).toBe(3)
  })

  it('are what an id_token_hint is compared with', async () => {
    const { clientId, browser, tokens, user } = await setUp(at('three.example.test'))
    const { id_token } = await tokens()
    const ask = (more: Record<string, string>) =>
      browser.get(authorizePath(clientId, { prompt: 'none', ...more }))
    expect(parametersOf(await ask({ id_token_hint: id_token }))['code']).toHaveLength(43)
    const claims = JSON.stringify({ id_token: { sub: { value: user.id } } })
    expect(parametersOf(await ask({ claims }))['error']).toBe('login_required')
  })

  it('depend on the host alone, and on the client where there is none', () => {
    const subjectKey = new Uint8Array(32)
    const subject = (redirectUri: string, clientId = 'a', userId = 'u') =>
      subjectOf(
        {
          clientId,
          subjectType: 'pairwise',
          sectorIdentifierUri: null,
          redirectUris: [redirectUri],
        },
        userId,
        { subjectKey },
      )
    expect(subject('https://a.test/x')).toBe(subject('https://a.test:8443/y', 'b'))
    expect(subject('https://a.test/')).not.toBe(subject('https://b.test/'))
    expect(subject('https://a.test/')).not.toBe(subject('https://a.test/', 'a', 'v'))
    expect(subject('com.example.app:/x', 'a')).not.toBe(subject('com.example.app:/x', 'b'))
  })
})

import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { obtainTokens, postToken } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { createKey, signDpopProof } from '../support/proofs.ts'
import { observeUnchanged } from './refusals.ts'

const orders = 'https://orders.example.test/'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ settings: { DPOP_REQUIRE_NONCE: 'false' } })
})
afterAll(() => app.close())

const ask = (authorization?: string, more: Record<string, string> = {}) =>
  app.request('/oauth/tokeninfo', {
    headers: { ...(authorization !== undefined && { authorization }), ...more },
  })

const answerOf = async (response: Response) => {
  expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
  return (await response.json()) as Record<string, unknown>
}

async function userToken(subjectType: 'public' | 'pairwise' = 'public') {
  const { db } = app.database
  const user = await addUser(db)
  const { client } = await addClient(db, { subjectType })
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  const { access_token } = await obtainTokens(app, browser, client.clientId)
  return { user, client, access: access_token }
}

async function machineToken(more: Record<string, string> = {}, headers = {}) {
  const { client, secret = '' } = await addClient(app.database.db, {
    type: 'confidential',
    grantTypes: ['client_credentials'],
    scope: 'read write',
    allowedResources: [orders],
  })
  const credentials = { client_id: client.clientId, client_secret: secret }
  const fields = { grant_type: 'client_credentials', ...credentials, ...more }
  const answer = (await (await postToken(app, fields, headers)).json()) as { access_token: string }
  return { client, access: answer.access_token }
}

const validated = (result: string) => ({ [`oauth_token_validation_total{result="${result}"}`]: 1 })
const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/tokeninfo",error="${error}"}`]: 1,
})

describe('GET /oauth/tokeninfo', () => {
  it('tells whoever holds a user’s token what it is', async () => {
    const { user, client, access } = await userToken()
    const { result, moved } = await observeUnchanged(app, () => ask(`Bearer ${access}`))
    expect(await answerOf(result)).toEqual({
      active: true,
      user_id: user.id,
      subject_type: 'user',
      client_id: client.clientId,
      scope: 'openid profile email offline_access',
      exp: decodeJwt(access).exp,
      iss: app.config.server.baseUrl,
      aud: app.config.server.baseUrl,
    })
    expect(moved).toEqual(validated('valid'))
  })

  it('says that a client acts for itself, and for whom the token was made', async () => {
    const { client, access } = await machineToken({ resource: orders })
    expect(await answerOf(await ask(`Bearer ${access}`))).toMatchObject({
      user_id: client.clientId,
      subject_type: 'client',
      client_id: client.clientId,
      scope: 'read write',
      aud: orders,
    })
  })

  it('takes the token without its scheme, as old clients send it', async () => {
    const { access } = await machineToken()
    expect(await answerOf(await ask(access))).toMatchObject({ active: true })
    expect(await answerOf(await ask(`bearer  ${access}`))).toMatchObject({ active: true })
  })

  it('names a user as the client knows them', async () => {
    const { user, access } = await userToken('pairwise')
    const { user_id } = await answerOf(await ask(`Bearer ${access}`))
    expect(user_id).toBe(decodeJwt(access).sub)
    expect(user_id).not.toBe(user.id)
  })

  it.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['another scheme', 'Basic YTpi'],
    ['words', 'not a token'],
  ])('answers %s with missing_token and bare challenges', async (_, header) => {
    const { result, moved } = await observeUnchanged(app, () => ask(header))
    expect(result.status).toBe(401)
    expect(result.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="authgate", DPoP algs="[^"]+"$/,
    )
    expect(await result.json()).toEqual({
      error: 'missing_token',
      error_description: expect.any(String),
    })
    expect(moved).toEqual(errors('missing_token'))
  })

  it.each([
    ['made up', () => 'Bearer made-up'],
    ['missing behind its scheme', () => 'Bearer '],
    ['made up, without a scheme', () => 'made-up'],
    ['forged', async () => `Bearer ${(await machineToken()).access.slice(0, -6)}AAAAAA`],
    [
      'of a disabled user',
      async () => {
        const { user, access } = await userToken()
        const actor = await addAdmin(app.database.db)
        const by = { actor, origin: systemOrigin, now: app.now() }
        await disableUser(app.database.db, user.id, by)
        return `Bearer ${access}`
      },
    ],
  ])('answers a token that is %s with invalid_token', async (_, make) => {
    const header = await make()
    const { result, moved } = await observeUnchanged(app, () => ask(header))
    expect(result.status).toBe(401)
    expect(result.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="authgate", error="invalid_token", error_description="[^"]+"$/,
    )
    expect(result.headers.get('cache-control')).toBe('no-store')
    expect(await result.json()).toMatchObject({ error: 'invalid_token' })
    expect(moved).toEqual({ ...validated('invalid'), ...errors('invalid_token') })
  })

  it('never reads a token out of the address or a body', async () => {
    const { access } = await machineToken()
    expect((await app.request(`/oauth/tokeninfo?access_token=${access}`)).status).toBe(401)
    const body = new URLSearchParams({ access_token: access })
    const posted = await app.request('/oauth/tokeninfo', { method: 'POST', body })
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET'])
  })

  it('takes a bound token from the holder of its key alone (RFC 9449 §7)', async () => {
    const key = await createKey()
    const at = (path: string) => `${app.config.server.baseUrl}${path}`
    const dpop = await signDpopProof(key, { htm: 'POST', htu: at('/oauth/token'), now: app.now() })
    const { access } = await machineToken({}, { dpop })
    for (const stolen of [access, `Bearer ${access}`])
      expect(await (await ask(stolen)).json()).toMatchObject({ error: 'invalid_token' })
    const proof = await signDpopProof(key, {
      htm: 'GET',
      htu: at('/oauth/tokeninfo'),
      now: app.now(),
      accessToken: access,
    })
    expect(await answerOf(await ask(`DPoP ${access}`, { dpop: proof }))).toMatchObject({
      active: true,
    })
    const replayed = await ask(`DPoP ${access}`, { dpop: proof })
    expect(replayed.status).toBe(401)
    expect(await replayed.json()).toMatchObject({ error: 'invalid_dpop_proof' })
  })
})

describe('an expired token', () => {
  it('is said to be expired', async () => {
    const { access } = await machineToken()
    app.advance(3_601_000)
    const { result, moved } = await observeUnchanged(app, () => ask(`Bearer ${access}`))
    expect(result.status).toBe(401)
    expect(await result.json()).toMatchObject({ error: 'invalid_token' })
    expect(moved).toEqual({ ...validated('expired'), ...errors('invalid_token') })
  })
})

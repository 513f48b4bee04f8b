import { eq } from 'drizzle-orm'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import type { NewClient } from '#/domain/clients/clients.ts'
import { issueClientToken } from '#/domain/tokens/issue-client-token.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { postToken } from '../support/flow.ts'
import { lifetimes } from '../support/grants.ts'
import { judged } from '../support/judged.ts'
import { addClient } from '../support/people.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

const orders = 'https://orders.example.test/api'
const stock = 'https://stock.example.test/'

let app: TestApp
let machine: Machine
beforeAll(async () => {
  app = await startTestApp({ settings: { CLIENT_CREDENTIALS_TOKEN_EXPIRATION: '20m' } })
  machine = await addMachine()
})
afterAll(() => app.close())

interface Machine {
  readonly id: string
  readonly secret: string
}

async function addMachine(more: Partial<NewClient> = {}): Promise<Machine> {
  const { client, secret = '' } = await addClient(app.database.db, {
    type: 'confidential',
    redirectUris: [],
    grantTypes: ['client_credentials'],
    scope: 'openid profile email offline_access read write',
    allowedResources: [orders, stock],
    ...more,
  })
  return { id: client.clientId, secret }
}

const fieldsOf = ({ id, secret }: Machine, more: Record<string, string> = {}) => ({
  grant_type: 'client_credentials',
  client_id: id,
  client_secret: secret,
  ...more,
})

const ask = (of: Machine, more: Record<string, string> = {}) => postToken(app, fieldsOf(of, more))

const authenticated = (method: string) => ({
  [`authgate_client_authentications_total{method="${method}",result="success"}`]: 1,
})
const errors = (error: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/token",error="${error}"}`]: 1,
})

describe('the client credentials grant (RFC 6749 §4.4)', () => {
  it('hands a confidential client one access token, and says so in one audit event and two series', async () => {
    const audited = await countAudit(app, 'CLIENT_CREDENTIALS_TOKEN_ISSUED')
    const { result, moved } = await observe(app, () => ask(machine))
    expect(result.status).toBe(200)
    expect(result.headers.get('cache-control')).toBe('no-store')
    const answer = (await result.json()) as Record<string, string>
    expect(answer).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 1200,
      scope: 'read write',
    })
    expect(moved).toEqual({
      ...authenticated('client_secret_post'),
      'oauth_tokens_issued_total{grant_type="client_credentials",token_type="access"}': 1,
      'oauth_tokens_active{token_type="access"}': 1,
    })
    expect(await countAudit(app, 'CLIENT_CREDENTIALS_TOKEN_ISSUED')).toBe(audited + 1)
    const claims = decodeJwt(answer['access_token'] ?? '')
    expect(decodeProtectedHeader(answer['access_token'] ?? '').typ).toBe('at+jwt')
    expect(claims).toEqual({
      iss: app.config.server.baseUrl,
      // RFC 9068 §2.2: without a user, the client is the subject.
      sub: machine.id,
      client_id: machine.id,
      aud: app.config.server.baseUrl,
      scope: 'read write',
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: Number(claims.iat) + 1200,
    })
  })

  it('leaves the scopes of a user out of what is given without a wish, and refuses them when asked for', async () => {
    const users = await addMachine({ scope: 'openid email' })
    const answer = (await (await ask(users)).json()) as Record<string, string>
    expect(answer).not.toHaveProperty('scope')
    expect(decodeJwt(answer['access_token'] ?? '')).not.toHaveProperty('scope')
  })

  it('gives less when less is asked for', async () => {
    const answer = await (await ask(machine, { scope: 'write', resource: orders })).json()
    expect(answer).toMatchObject({ scope: 'write' })
    expect(decodeJwt((answer as { access_token: string }).access_token)).toMatchObject({
      aud: orders,
      scope: 'write',
    })
  })

  it('names all resources that are asked for, and keeps their order', async () => {
    const response = await app.request('/oauth/token', {
      method: 'POST',
      body: new URLSearchParams([
        ...Object.entries(fieldsOf(machine)),
        ['resource', stock],
        ['resource', orders],
      ]),
    })
    const { access_token } = (await response.json()) as { access_token: string }
    expect(decodeJwt(access_token).aud).toEqual([stock, orders])
  })

  type Case = [string, Record<string, string>, string]
  const cases: Case[] = [
    ['the openid scope', { scope: 'openid' }, 'invalid_scope'],
    ['offline_access', { scope: 'read offline_access' }, 'invalid_scope'],
    ['a scope of a user', { scope: 'read email' }, 'invalid_scope'],
    ['a scope that is not its own', { scope: 'read admin' }, 'invalid_scope'],
    ['a malformed scope', { scope: 'read "write"' }, 'invalid_scope'],
    ['a scope of spaces', { scope: '   ' }, 'invalid_scope'],
    [
      'a resource that is not its own',
      { resource: 'https://bank.example.test/' },
      'invalid_target',
    ],
    ['a resource with a fragment', { resource: `${orders}#x` }, 'invalid_target'],
    ['a resource that is no URI', { resource: 'orders' }, 'invalid_target'],
  ]
  it.each(cases)('refuses %s and changes nothing', async (_, more, error) => {
    const { result, moved } = await observeUnchanged(app, () => ask(machine, more))
    expect(result.status).toBe(400)
    expect(await result.json()).toMatchObject({ error })
    expect(moved).toEqual({ ...authenticated('client_secret_post'), ...errors(error) })
  })

  it('is not for public clients, even if they are registered for it', async () => {
    const { client } = await addClient(app.database.db, { grantTypes: ['client_credentials'] })
    const fields = { grant_type: 'client_credentials', client_id: client.clientId }
    const { result, moved } = await observeUnchanged(app, () => postToken(app, fields))
    expect([result.status, await result.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'unauthorized_client' }),
    ])
    expect(moved).toEqual({ ...authenticated('none'), ...errors('unauthorized_client') })
  })

  it('is not for clients that are not registered for it', async () => {
    const other = await addMachine({ grantTypes: ['refresh_token'] })
    const { result } = await observeUnchanged(app, () => ask(other))
    expect(await result.json()).toMatchObject({ error: 'unauthorized_client' })
  })

  it('tells nobody with a wrong secret which grants a client may use', async () => {
    const { result, moved } = await observeUnchanged(app, () =>
      ask({ ...machine, secret: 'wrong' }),
    )
    expect([result.status, result.headers.get('www-authenticate')]).toEqual([
      401,
      'Basic realm="authgate", charset="UTF-8"',
    ])
    expect(await result.json()).toMatchObject({ error: 'invalid_client' })
    expect(moved).toEqual({
      'authgate_client_authentications_total{method="client_secret_post",result="failure"}': 1,
      ...errors('invalid_client'),
    })
  })
})

describe('a client that is deactivated', () => {
  const issue = (clientId: string, enabled = true) =>
    judged(app.database.db, { clientId }, (clientVersion) =>
      issueClientToken(
        app.database.db,
        {
          clientId,
          clientVersion,
          scope: 'read',
          resources: [],
          dpopJkt: null,
          lifetimes,
          now: new Date(),
        },
        { ...systemOrigin, enabled },
      ),
    )
  const rowsOf = (clientId: string) =>
    app.database.db.select().from(tokens).where(eq(tokens.clientId, clientId))

  it('is given no token, and nothing is said in the audit log, whatever a cache still holds of it', async () => {
    const { id } = await addMachine()
    await app.database.db
      .update(clients)
      .set({ status: 'inactive' })
      .where(eq(clients.clientId, id))
    const audited = await countAudit(app, 'CLIENT_CREDENTIALS_TOKEN_ISSUED')
    expect(await issue(id)).toBeUndefined()
    expect(await rowsOf(id)).toEqual([])
    expect(await countAudit(app, 'CLIENT_CREDENTIALS_TOKEN_ISSUED')).toBe(audited)
  })

  it('keeps no live token, however many were on their way', async () => {
    const { id } = await addMachine()
    const by = { origin: systemOrigin, now: new Date() }
    await Promise.all([
      ...Array.from({ length: 20 }, () => issue(id)),
      setClientStatus(app.database.db, { clientId: id, status: 'inactive' }, by),
      ...Array.from({ length: 20 }, () => issue(id)),
    ])
    expect((await rowsOf(id)).filter(({ revokedAt }) => revokedAt === null)).toEqual([])
  })

  it('leaves no audit event when audit logging is switched off', async () => {
    const { id } = await addMachine()
    const audited = await countAudit(app, 'CLIENT_CREDENTIALS_TOKEN_ISSUED')
    expect(await issue(id, false)).toMatchObject({ clientId: id, userId: null })
    expect(await countAudit(app, 'CLIENT_CREDENTIALS_TOKEN_ISSUED')).toBe(audited)
  })

  it('stores what it answers', async () => {
    const { id } = await addMachine()
    expect(await rowsOf(id)).toEqual([])
    const token = await issue(id)
    expect(await rowsOf(id)).toEqual([token])
  })
})

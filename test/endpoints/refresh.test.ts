/** What a refresh hands out, and for how long; families and their end are told elsewhere. */
import { eq } from 'drizzle-orm'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import type { NewClient } from '#/domain/clients/clients.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import type { User } from '#/domain/users/users.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { obtainCode, postToken, redeemCode } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { observe, observeUnchanged } from './refusals.ts'

const orders = 'https://orders.example.test/'
const stock = 'https://stock.example.test/'
const scope = 'openid profile offline_access'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

interface Party {
  readonly user: User
  readonly id: string
  readonly shown: Record<string, string>
  refreshToken: string
}

async function arrive(more: Partial<NewClient> = {}): Promise<Party> {
  const { db } = app.database
  const user = await addUser(db)
  const { client, secret } = await addClient(db, { type: 'confidential', ...more })
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  const id = client.clientId
  const shown: Record<string, string> = { client_id: id, ...(secret && { client_secret: secret }) }
  const answer = await redeemCode(app, id, await obtainCode(browser, id, { scope }), shown)
  const { refresh_token } = (await answer.json()) as { refresh_token: string }
  return { user, id, shown, refreshToken: refresh_token }
}

const ask = ({ shown, refreshToken }: Party, more: Record<string, string> = {}) =>
  postToken(app, { grant_type: 'refresh_token', refresh_token: refreshToken, ...shown, ...more })

interface Answer {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly scope: string
}

const refresh = async (party: Party, more: Record<string, string> = {}) => {
  const response = await ask(party, more)
  expect(response.status).toBe(200)
  const answer = (await response.json()) as Answer
  party.refreshToken = answer.refresh_token
  return answer
}

const secretOk = {
  'authgate_client_authentications_total{method="client_secret_post",result="success"}': 1,
}
const refreshed = (result: string) => ({ [`oauth_tokens_refreshed_total{result="${result}"}`]: 1 })
const error = (code: string) => ({
  [`authgate_oauth_errors_total{endpoint="/oauth/token",error="${code}"}`]: 1,
})

describe('a client whose refresh tokens are fixed', () => {
  it('keeps its refresh token when it is confidential, and no series speaks of a rotation', async () => {
    const party = await arrive({ refreshTokenMode: 'fixed' })
    const kept = party.refreshToken
    for (let n = 0; n < 3; n += 1) {
      const { moved } = await observe(app, () => refresh(party))
      expect(party.refreshToken).toBe(kept)
      expect(moved).toEqual({
        ...secretOk,
        ...refreshed('success'),
        'oauth_tokens_issued_total{grant_type="refresh_token",token_type="access"}': 1,
        'oauth_tokens_issued_total{grant_type="refresh_token",token_type="id"}': 1,
        'oauth_tokens_active{token_type="access"}': 1,
      })
    }
  })

  it('rotates all the same when it is public (RFC 9700 §2.2.2)', async () => {
    const party = await arrive({ type: 'public', refreshTokenMode: 'fixed' })
    const first = party.refreshToken
    await refresh(party)
    expect(party.refreshToken).not.toBe(first)
  })
})

describe('what a refresh hands out', () => {
  it('lives exactly as long as it is said to, by the answer, the token and the row', async () => {
    const party = await arrive()
    const answer = await refresh(party)
    const { jti = '', iat = 0, exp = 0 } = decodeJwt(answer.access_token)
    expect(exp - iat).toBe(answer.expires_in)
    const [row] = await app.database.db.select().from(tokens).where(eq(tokens.id, jti))
    expect(Math.floor((row?.expiresAt.getTime() ?? 0) / 1000)).toBe(exp)
  })

  it('is for fewer resources when fewer are named, and never for others (RFC 8707 §2.2)', async () => {
    const party = await arrive()
    await app.database.db
      .update(tokens)
      .set({ resources: [orders, stock] })
      .where(eq(tokens.userId, party.user.id))
    const audience = async (more: Record<string, string> = {}) =>
      decodeJwt((await refresh(party, more)).access_token).aud
    expect(await audience({ resource: stock })).toEqual([stock, app.config.server.baseUrl])
    expect(await audience()).toEqual([orders, stock, app.config.server.baseUrl])
    const { result, moved } = await observeUnchanged(app, () =>
      ask(party, { resource: 'https://elsewhere.example.test/' }),
    )
    expect([result.status, await result.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_target' }),
    ])
    expect(moved).toEqual({ ...secretOk, ...refreshed('scope'), ...error('invalid_target') })
  })

  it('has a narrower scope when one is asked for, and never a wider one', async () => {
    const party = await arrive()
    expect((await refresh(party, { scope: 'openid' })).scope).toBe('openid')
    expect((await refresh(party)).scope).toBe(scope)
    for (const asked of ['openid email', 'admin', '   ', 'open"id']) {
      const { result, moved } = await observeUnchanged(app, () => ask(party, { scope: asked }))
      expect(await result.json()).toMatchObject({ error: 'invalid_scope' })
      expect(moved).toEqual({ ...secretOk, ...refreshed('scope'), ...error('invalid_scope') })
    }
  })
})

describe('a refresh token whose grant is gone', () => {
  const now = () => ({ origin: systemOrigin, now: app.now() })
  it.each([
    [
      'its user was disabled',
      async ({ user }: Party) => {
        const actor = await addAdmin(app.database.db)
        await disableUser(app.database.db, user.id, { actor, ...now() })
      },
    ],
    [
      'its user has withdrawn the consent',
      async ({ user }: Party) => {
        const [consent] = await listConsents(app.database.db, user.id)
        const of = { id: consent?.id ?? '', user, now: app.now() }
        await revokeConsent(app.database.db, of, systemOrigin)
      },
    ],
    [
      'its client was inactive for a while',
      async ({ id }: Party) => {
        for (const status of ['inactive', 'active'] as const)
          await setClientStatus(app.database.db, { clientId: id, status }, now())
      },
    ],
  ])('is refused when %s', async (_, withdraw) => {
    const party = await arrive()
    await withdraw(party)
    const { result, moved } = await observeUnchanged(app, () => ask(party))
    expect([result.status, await result.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_grant' }),
    ])
    expect(moved).toEqual({ ...secretOk, ...refreshed('revoked'), ...error('invalid_grant') })
  })
})

describe('every OAuth answer', () => {
  const paths = [
    '/oauth/token',
    '/oauth/introspect',
    '/oauth/revoke',
    '/oauth/tokeninfo',
    '/oauth/userinfo',
    '/oauth/device/code',
    '/oauth/par',
    '/oauth/register',
    '/oauth/authorize',
  ]
  it.each(paths)('of %s says no-store, errors and wrong methods included', async (path) => {
    for (const method of ['GET', 'POST', 'PUT']) {
      const response = await app.request(path, { method })
      expect(response.headers.get('cache-control'), `${method} ${response.status}`).toBe('no-store')
    }
  })
})

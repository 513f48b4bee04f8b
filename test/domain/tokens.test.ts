import { and, eq, isNull } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '#/database/client.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { authorizationCodes } from '#/database/schema/authorization-codes.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { deleteClientBy } from '#/domain/access-revocation/end-clients.ts'
import { changePassword, disableUser } from '#/domain/access-revocation/end-users.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import { countTokens } from '#/domain/entity-counts/entity-counts.ts'
import type { PresentedRefreshToken } from '#/domain/tokens/refresh-tokens.ts'
import { deleteDeadTokens, findLiveAccessToken } from '#/domain/tokens/tokens.ts'
import type { User } from '#/domain/users/users.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { redirectUri } from '../support/client.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { ageFamily } from '../support/database-time.ts'
import {
  addCode,
  addFamily,
  addSession,
  graceMs,
  issueCode,
  redeem,
  refreshFor,
} from '../support/grants.ts'
import { clientVersionOf } from '../support/judged.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { rounds } from '../support/rounds.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

const setUp = async () => {
  const user = await addUser(database.db)
  const { client } = await addClient(database.db)
  return { db: database.db, user, clientId: client.clientId }
}

const secrets = ['s'.repeat(32)]

const refresh = (token: string, clientId: string, more: Partial<PresentedRefreshToken> = {}) =>
  refreshFor(database.db, token, clientId, more)

const codesOf = (clientId: string) =>
  database.db.select().from(authorizationCodes).where(eq(authorizationCodes.clientId, clientId))

const liveOf = (familyId: string) =>
  database.db
    .select()
    .from(tokens)
    .where(and(eq(tokens.familyId, familyId), isNull(tokens.revokedAt)))

describe('redeeming an authorization code', () => {
  it('gives one of fifty parallel redemptions the tokens, and the others end them', async () => {
    const { db, user, clientId } = await setUp()
    for (let round = 0; round < rounds(30); round += 1) await redeemAllAtOnce(db, user, clientId)
  }, 120_000)

  async function redeemAllAtOnce(db: Database, user: User, clientId: string) {
    const code = await addCode(db, user, clientId)
    const clientVersion = await clientVersionOf(db, clientId)
    const results = await Promise.all(
      Array.from({ length: 50 }, () => redeem(db, code, clientId, { clientVersion })),
    )
    expect(results.filter(({ result }) => result === 'redeemed')).toHaveLength(1)
    expect(results.filter(({ result }) => result === 'replayed')).toHaveLength(49)
    const [row] = await db
      .select()
      .from(authorizationCodes)
      .where(eq(authorizationCodes.codeHash, sha256(code)))
    expect(await liveOf(row?.familyId ?? '')).toEqual([])
    const revoked = results.flatMap((one) => (one.result === 'replayed' ? [one.revoked] : []))
    expect(revoked.reduce((sum, { access, refresh }) => sum + access + refresh, 0)).toBe(2)
  }

  it('leaves the code unused when the verifier, the redirect URI or the client is wrong', async () => {
    const { db, user, clientId } = await setUp()
    const code = await addCode(db, user, clientId)
    await expect(
      redeem(db, code, clientId, { codeVerifier: 'w'.repeat(43) }),
    ).rejects.toMatchObject({ code: 'invalid_grant' })
    await expect(
      redeem(db, code, clientId, { redirectUri: `${redirectUri}/` }),
    ).rejects.toMatchObject({ code: 'invalid_grant' })
    const stranger = await addClient(db)
    expect(await redeem(db, code, stranger.client.clientId)).toEqual({ result: 'invalid' })
    expect(await redeem(db, code, clientId)).toMatchObject({ result: 'redeemed' })
    expect(await redeem(db, code, stranger.client.clientId)).toEqual({ result: 'invalid' })
  })

  it('refuses an expired code', async () => {
    const { db, user, clientId } = await setUp()
    const code = await addCode(db, user, clientId)
    await expect(
      redeem(db, code, clientId, { now: new Date(Date.now() + 61_000) }),
    ).rejects.toMatchObject({ code: 'invalid_grant' })
  })

  it('issues a refresh token for offline_access alone', async () => {
    const { db, user, clientId } = await setUp()
    const online = await redeem(db, await addCode(db, user, clientId, 'openid'), clientId)
    expect(online).toMatchObject({ result: 'redeemed', refreshToken: undefined })
  })

  it('stores no code and no refresh token in clear, anywhere', async () => {
    const { db, user, clientId } = await setUp()
    const code = await addCode(db, user, clientId)
    const redeemed = await redeem(db, code, clientId)
    const secret = redeemed.result === 'redeemed' ? (redeemed.refreshToken ?? '') : ''
    const everything = JSON.stringify([
      await db.select().from(authorizationCodes),
      await db.select().from(tokens),
      await db.select().from(auditEvents),
    ])
    expect(secret).not.toBe('')
    expect(everything).not.toContain(code)
    expect(everything).not.toContain(secret)
    expect(everything).toContain(sha256(secret))
  })
})

describe('refreshing', () => {
  it('rotates once in fifty parallel requests; the others get the same successor', async () => {
    const { db, user, clientId } = await setUp()
    const { refreshToken } = await addFamily(db, user, clientId)
    const results = await Promise.all(
      Array.from({ length: 50 }, () => refresh(refreshToken, clientId)),
    )
    expect(results.filter(({ result }) => result === 'success')).toHaveLength(1)
    expect(results.filter(({ result }) => result === 'grace')).toHaveLength(49)
    const successors = new Set(
      results.map((one) => ('refreshToken' in one ? one.refreshToken : '')),
    )
    expect(successors.size).toBe(1)
    expect(successors.has(refreshToken)).toBe(false)
  })

  it('takes a retry after the successor was used for theft, and ends the family', async () => {
    const { db, user, clientId } = await setUp()
    const { refreshToken, familyId } = await addFamily(db, user, clientId)
    const first = await refresh(refreshToken, clientId)
    if (first.result !== 'success') throw new Error(first.result)
    expect((await refresh(first.refreshToken, clientId)).result).toBe('success')
    const stolen = await refresh(refreshToken, clientId)
    // Two refreshes and the code have each left a live access token, and one refresh token is left.
    expect(stolen).toMatchObject({
      result: 'reuse',
      revoked: { reason: 'reuse', access: 3, refresh: 1 },
    })
    expect(await liveOf(familyId)).toEqual([])
    const [event] = await db
      .select()
      .from(auditEvents)
      .where(and(eq(auditEvents.type, 'SUSPICIOUS_ACTIVITY'), eq(auditEvents.resourceId, familyId)))
    expect(event).toMatchObject({ severity: 'critical', success: false })
  })

  it('takes a retry after the grace period for theft', async () => {
    const { db, user, clientId } = await setUp()
    const { refreshToken, familyId } = await addFamily(db, user, clientId)
    await refresh(refreshToken, clientId)
    await ageFamily(db, familyId, graceMs)
    const late = await refresh(refreshToken, clientId)
    expect(late).toMatchObject({ result: 'reuse', revoked: { access: 2, refresh: 1 } })
  })

  it.each([
    ['authenticates', { authenticated: true }],
    ['proves its key', { dpopJkt: 'k'.repeat(43) }],
  ])('answers a client that %s until the successor is used', async (_how, proof) => {
    const { db, user, clientId } = await setUp()
    const { refreshToken, familyId } = await addFamily(db, user, clientId)
    if ('dpopJkt' in proof) await db.update(tokens).set(proof).where(eq(tokens.familyId, familyId))
    const first = await refresh(refreshToken, clientId, proof)
    await ageFamily(db, familyId, 100 * graceMs)
    const again = await refresh(refreshToken, clientId, proof)
    expect(again).toMatchObject({ result: 'grace' })
    if (first.result !== 'success' || again.result !== 'grace') return
    expect(again.refreshToken).toBe(first.refreshToken)
    await refresh(first.refreshToken, clientId, proof)
    expect((await refresh(refreshToken, clientId, proof)).result).toBe('reuse')
  })

  it('recognises a retry whose successor was derived under an older secret', async () => {
    const { db, user, clientId } = await setUp()
    const { refreshToken } = await addFamily(db, user, clientId)
    await refresh(refreshToken, clientId)
    const rotated = await refresh(refreshToken, clientId, { secrets: ['n'.repeat(32), ...secrets] })
    expect(rotated.result).toBe('grace')
  })

  it('keeps the full scope while handing out a narrower one, and refuses a wider one without using the token', async () => {
    const { db, user, clientId } = await setUp()
    const { refreshToken } = await addFamily(db, user, clientId, 'openid profile offline_access')
    await expect(
      refresh(refreshToken, clientId, { scope: ['openid', 'email'] }),
    ).rejects.toMatchObject({ code: 'invalid_scope' })
    const narrow = await refresh(refreshToken, clientId, { scope: ['openid'] })
    if (narrow.result !== 'success') throw new Error(narrow.result)
    expect(narrow.access.scope).toBe('openid')
    const full = await refresh(narrow.refreshToken, clientId)
    expect(full).toMatchObject({
      result: 'success',
      access: { scope: 'openid profile offline_access' },
    })
  })

  it('tells made-up, foreign, expired and revoked tokens apart and changes nothing for any', async () => {
    const { db, user, clientId } = await setUp()
    const { refreshToken, familyId } = await addFamily(db, user, clientId)
    const stranger = await addClient(db)
    expect(await refresh('x'.repeat(43), clientId)).toEqual({ result: 'invalid' })
    expect(await refresh(refreshToken, stranger.client.clientId)).toEqual({
      result: 'client_mismatch',
    })
    expect(
      await refresh(refreshToken, clientId, { now: new Date(Date.now() + 31 * 86_400_000) }),
    ).toEqual({ result: 'expired' })
    expect(await liveOf(familyId)).toHaveLength(2)
    const [consent] = await listConsents(db, user.id)
    await revokeConsent(db, { id: consent?.id ?? '', user, now: new Date() }, systemOrigin)
    expect(await refresh(refreshToken, clientId)).toEqual({ result: 'revoked' })
  })

  it('returns the same refresh token when it does not rotate', async () => {
    const { db, user, clientId } = await setUp()
    const { refreshToken } = await addFamily(db, user, clientId)
    expect(await refresh(refreshToken, clientId, { rotate: false })).toMatchObject({
      result: 'success',
      refreshToken,
      rotated: false,
    })
    expect(await refresh(refreshToken, clientId, { rotate: false })).toMatchObject({
      result: 'success',
      refreshToken,
    })
  })
})

describe('taking access away', () => {
  it('leaves no live token behind, in any interleaving with redemptions and refreshes', async () => {
    const admin = await addAdmin(database.db)
    const by = () => ({ actor: admin, origin: systemOrigin, now: new Date() })
    const takers = {
      disable: (id: string) => disableUser(database.db, id, by()),
      password: (id: string) => changePassword(database.db, { id, passwordHash: 'new' }, by()),
      async consent(id: string) {
        const [consent] = await listConsents(database.db, id)
        await revokeConsent(
          database.db,
          { id: consent?.id ?? '', user: { id, username: 'x' }, now: new Date() },
          systemOrigin,
        )
      },
    }
    for (const take of Object.values(takers)) {
      for (let round = 0; round < 5; round += 1) {
        const { db, user, clientId } = await setUp()
        const codes = await Promise.all([addCode(db, user, clientId), addCode(db, user, clientId)])
        const { refreshToken } = await addFamily(db, user, clientId)
        await Promise.allSettled([
          redeem(db, codes[0] ?? '', clientId),
          refresh(refreshToken, clientId),
          take(user.id),
          redeem(db, codes[1] ?? '', clientId),
        ])
        const live = await db
          .select()
          .from(tokens)
          .where(and(eq(tokens.userId, user.id), isNull(tokens.revokedAt)))
        expect(live).toEqual([])
      }
    }
  })

  it('leaves no usable code behind of a client that goes while codes are being issued', async () => {
    const { db } = database
    const by = () => ({ origin: systemOrigin, now: new Date() })
    const takers = [
      (clientId: string) => setClientStatus(db, { clientId, status: 'inactive' }, by()),
      (clientId: string) => deleteClientBy(db, clientId, by()),
    ]
    for (const take of takers) {
      for (let round = 0; round < 10; round += 1) {
        const { user, clientId } = await setUp()
        const sessionIds = await Promise.all([0, 1, 2, 3].map(() => addSession(db, user)))
        const issue = (sessionId: string) => issueCode(db, { user, clientId, sessionId })
        const steps = sessionIds.map((id) => () => issue(id))
        steps.splice(round % 5, 0, async () => String(await take(clientId)))
        await Promise.allSettled(steps.map((step) => step()))
        expect(await codesOf(clientId)).toEqual([])
      }
    }
  })

  it.each(['disabled', 'deleted'])('gives a client that is %s by now no code', async (how) => {
    const { db, user, clientId } = await setUp()
    const sessionId = await addSession(db, user)
    const by = { origin: systemOrigin, now: new Date() }
    if (how === 'deleted') await deleteClientBy(db, clientId, by)
    else await setClientStatus(db, { clientId, status: 'inactive' }, by)
    await expect(issueCode(db, { user, clientId, sessionId })).rejects.toMatchObject({
      code: 'access_denied',
    })
    expect(await codesOf(clientId)).toEqual([])
  })

  const taken: [string, Partial<Client>][] = [
    ['redirect URI', { redirectUris: ['https://app.example.test/other'] }],
    ['scope', { scope: 'profile' }],
    ['grant', { grantTypes: ['refresh_token'] }],
  ]
  it.each(taken)('gives no code for a %s that was taken away meanwhile', async (_, change) => {
    const { db, user, clientId } = await setUp()
    const sessionId = await addSession(db, user)
    const issue = () => issueCode(db, { user, clientId, sessionId })
    expect(await issue()).toMatch(/./)
    await db.update(clients).set(change).where(eq(clients.clientId, clientId))
    await expect(issue()).rejects.toMatchObject({ code: 'access_denied' })
    expect(await codesOf(clientId)).toHaveLength(1)
  })

  it('revokes exactly the live tokens of a consent and counts them once', async () => {
    const { db, user, clientId } = await setUp()
    await addFamily(db, user, clientId)
    const { access } = await addFamily(db, user, clientId)
    const other = await addClient(db)
    const kept = await addFamily(db, user, other.client.clientId)
    const consents = await listConsents(db, user.id)
    const id =
      consents.find(({ clientName, scope }) => clientName === 'Test app' && scope)?.id ?? ''
    const mine = consents.filter((consent) => consent.id !== undefined)
    expect(mine).toHaveLength(2)
    const target = mine.find((consent) => consent.id === id) ?? mine[0]
    const revoke = () =>
      revokeConsent(db, { id: target?.id ?? '', user, now: new Date() }, systemOrigin)
    const first = await revoke()
    expect([first?.tokens.access, first?.tokens.refresh]).toEqual(
      first?.clientId === clientId ? [2, 2] : [1, 1],
    )
    expect(await revoke()).toBeUndefined()
    const survivor = first?.clientId === clientId ? kept.access : access
    expect(await findLiveAccessToken(db, survivor.id, new Date())).toBeDefined()
  })

  it('ends a deactivated client’s tokens and accepts none of them', async () => {
    const { db, user, clientId } = await setUp()
    const { access } = await addFamily(db, user, clientId)
    const by = { origin: systemOrigin, now: new Date() }
    const changed = await setClientStatus(db, { clientId, status: 'inactive' }, by)
    expect(changed?.ended.tokens).toMatchObject({
      access: 1,
      refresh: 1,
      reason: 'client_inactive',
    })
    expect(await setClientStatus(db, { clientId, status: 'inactive' }, by)).toBeUndefined()
    expect(await findLiveAccessToken(db, access.id, new Date())).toBeUndefined()
  })
})

it('counts as active exactly the tokens that would be accepted', async () => {
  const { db, user, clientId } = await setUp()
  await addFamily(db, user, clientId)
  const before = await countTokens(db, new Date())
  const { refreshToken } = await addFamily(db, user, clientId)
  await refresh(refreshToken, clientId)
  const after = await countTokens(db, new Date())
  expect([after.access - before.access, after.refresh - before.refresh]).toEqual([2, 1])
  const later = new Date(Date.now() + 2 * 3_600_000)
  const rows = await db.select().from(tokens)
  const accepted = await Promise.all(
    rows
      .filter((row) => row.type === 'access')
      .map((row) => findLiveAccessToken(db, row.id, later)),
  )
  expect((await countTokens(db, later)).access).toBe(accepted.filter(Boolean).length)
})

it('forgets dead tokens after their time and keeps live ones', async () => {
  const { db, user, clientId } = await setUp()
  const { familyId } = await addFamily(db, user, clientId)
  await deleteDeadTokens(db, new Date(), 10_000)
  expect(await liveOf(familyId)).toHaveLength(2)
  await deleteDeadTokens(db, new Date(Date.now() + 32 * 86_400_000), 10_000)
  expect(await liveOf(familyId)).toEqual([])
})

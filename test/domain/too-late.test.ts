/** What the database gets to after nobody waits any more uses nothing up, and is no reason to refuse the next try. */
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keepDatabaseTime } from '#/database/deadline.ts'
import { isOutage } from '#/database/errors.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import {
  consumeAuthorizationRequest,
  pushAuthorizationRequest,
  storeAuthorizationRequest,
  visitPushedRequest,
} from '#/domain/authorization-requests/authorization-requests.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import { consumeProof } from '#/domain/proofs/used-proofs.ts'
import { revokeTokensOfUser } from '#/domain/tokens/revoke-tokens.ts'
import { redirectUri } from '../support/client.ts'
import {
  needsPostgres,
  onPostgres,
  openTestDatabase,
  type TestDatabase,
} from '../support/database.ts'
import { addApproved, addDeviceClient, askForCodes, poll } from '../support/devices.ts'
import { addCode, addFamily, redeem, refreshFor } from '../support/grants.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

/** As if the statements of `work` had stood in the socket of a frozen server until nobody waited for them. */
const late = async <T>(work: () => Promise<T>): Promise<T> => {
  keepDatabaseTime(Date.now() - 60_000, performance.now())
  try {
    return await work()
  } finally {
    keepDatabaseTime(Date.now(), performance.now())
  }
}

const tooLate = async (work: () => Promise<unknown>) => {
  const error = await late(work).catch((e: unknown) => e)
  expect(isOutage(error)).toBe(true)
}

async function setUp() {
  const { db } = database
  const user = await addUser(db)
  return { db, user, clientId: (await addClient(db)).client.clientId }
}

const refresh = (token: string, clientId: string, more: { rotate?: boolean } = {}) =>
  refreshFor(database.db, token, clientId, more)

const alarms = (familyId: string) =>
  database.db.$count(
    auditEvents,
    sql`${auditEvents.type} = 'SUSPICIOUS_ACTIVITY' and ${auditEvents.resourceId} = ${familyId}`,
  )

describe('too late', () => {
  it.each([true, false])('a refresh changes nothing (rotation: %s)', async (rotate) => {
    const { db, user, clientId } = await setUp()
    const { refreshToken, familyId } = await addFamily(db, user, clientId)
    const rows = () => db.select().from(tokens).where(eq(tokens.familyId, familyId))
    const before = await rows()
    await tooLate(() => refresh(refreshToken, clientId, { rotate }))
    expect(await rows()).toEqual(before)
    expect((await refresh(refreshToken, clientId, { rotate })).result).toBe('success')
  })

  it('an authorization code stays unused, and is still redeemed once only', async () => {
    const { db, user, clientId } = await setUp()
    const code = await addCode(db, user, clientId)
    await tooLate(() => redeem(db, code, clientId))
    expect((await redeem(db, code, clientId)).result).toBe('redeemed')
    expect((await redeem(db, code, clientId)).result).toBe('replayed')
  })

  it('an approved device code stays approved', async () => {
    const { db } = database
    const { clientId } = (await addDeviceClient(db)).client
    const { deviceCode } = await addApproved(db, await addUser(db), clientId)
    await tooLate(() => poll(db, deviceCode, clientId))
    expect((await poll(db, deviceCode, clientId)).result).toBe('success')
    expect((await poll(db, deviceCode, clientId)).result).toBe('invalid')
  })

  it('a poll does not make the next one come too early', async () => {
    const { db } = database
    const { clientId } = (await addDeviceClient(db)).client
    const { deviceCode } = await askForCodes(db, clientId)
    await tooLate(() => poll(db, deviceCode, clientId))
    expect((await poll(db, deviceCode, clientId)).result).toBe('pending')
    expect((await poll(db, deviceCode, clientId)).result).toBe('slow_down')
    const [row] = await db.select().from(deviceCodes).where(eq(deviceCodes.clientId, clientId))
    expect(row?.intervalSeconds).toBe(10)
  })

  it('an authorization request waits for its answer, and a pushed one for its browser', async () => {
    const { db, clientId } = await setUp()
    const now = new Date()
    const request = {
      clientId,
      redirectUri,
      scope: 'openid',
      state: null,
      nonce: null,
      codeChallenge: null,
      responseMode: 'query',
      resources: [],
      claims: null,
      dpopJkt: null,
      interaction: {},
    } as const
    const id = await storeAuthorizationRequest(db, { ...request, resources: [] }, now)
    const consume = () => {
      const answer = { sessionId: 'this session', approved: false } as const
      return consumeAuthorizationRequest(db, { id, interaction: {} }, { answer, now })
    }
    await tooLate(consume)
    expect(await consume()).toMatchObject({ id })
    expect(await consume()).toBeUndefined()

    const pushed = { lifetimeMs: 60_000, now }
    const which = {
      id: await pushAuthorizationRequest(db, { ...request, resources: [] }, pushed),
      clientId,
    }
    await tooLate(() => visitPushedRequest(db, which, now))
    expect(await visitPushedRequest(db, which, now)).toMatchObject({ isFirst: true })
  })

  it('a proof is not used', async () => {
    const { db } = database
    const proof = {
      kind: 'client_assertion',
      owner: 'client',
      jti: crypto.randomUUID(),
      expiresAt: new Date(Date.now() + 60_000),
    } as const
    await tooLate(() => consumeProof(db, proof))
    expect(await consumeProof(db, proof)).toBe(true)
    expect(await consumeProof(db, proof)).toBe(false)
  })

  it('is no excuse: who may not have tokens any more is refused', async () => {
    const { db, user, clientId } = await setUp()
    const { refreshToken } = await addFamily(db, user, clientId)
    const code = await addCode(db, user, clientId)
    const admin = await addAdmin(db)
    await disableUser(db, user.id, { actor: admin, origin: systemOrigin, now: new Date() })
    // A pool commits nothing that is late, not even a refusal.
    const orAnOutage = (error: unknown) => {
      if (!onPostgres || !isOutage(error)) throw error
    }
    await late(async () => {
      const refreshed = await refresh(refreshToken, clientId).catch(orAnOutage)
      expect(refreshed?.result ?? 'revoked').toBe('revoked')
      const redeemed = await redeem(db, code, clientId).catch(orAnOutage)
      expect(redeemed?.result ?? 'invalid').toBe('invalid')
    })
    expect((await refresh(refreshToken, clientId)).result).toBe('revoked')
    expect((await redeem(db, code, clientId)).result).toBe('invalid')
  })
})

describe('a rotated refresh token', () => {
  it('is revoked, and no theft, when its family has ended for another reason', async () => {
    const { db, user, clientId } = await setUp()
    const signedOut = await addFamily(db, user, clientId)
    await refresh(signedOut.refreshToken, clientId)
    const end = { reason: 'user_request', now: new Date() } as const
    await db.transaction((tx) => revokeTokensOfUser(tx, user.id, end))
    expect((await refresh(signedOut.refreshToken, clientId)).result).toBe('revoked')

    const removed = await addFamily(db, user, clientId)
    await refresh(removed.refreshToken, clientId)
    for (const { id } of await listConsents(db, user.id))
      await revokeConsent(db, { id, user, now: new Date() }, systemOrigin)
    // Allowed again, so that nothing but the end of the family speaks against it.
    await addFamily(db, user, clientId)
    expect((await refresh(removed.refreshToken, clientId)).result).toBe('revoked')
    expect(await alarms(signedOut.familyId)).toBe(0)
    expect(await alarms(removed.familyId)).toBe(0)
  })

  it('has its grace from when its successor was stored, however long that waited', async (context) => {
    needsPostgres(context)
    const { db, user, clientId } = await setUp()
    const { refreshToken, familyId } = await addFamily(db, user, clientId)
    let rotation: Promise<unknown> = Promise.resolve()
    const released = await db.transaction(async (tx) => {
      await tx.select().from(tokens).where(eq(tokens.familyId, familyId)).for('update')
      rotation = refresh(refreshToken, clientId)
      const waiting = sql<boolean>`exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`
      const isWaiting = async () =>
        (await db.select({ waiting }).from(sql`(select) as moment`))[0]?.waiting === true
      await expect.poll(isWaiting, { timeout: 10_000 }).toBe(true)
      const [moment] = await tx
        .select({ at: sql<string>`clock_timestamp()::text` })
        .from(sql`(select) as moment`)
      return moment?.at ?? ''
    })
    await rotation
    const successors = await db.$count(
      tokens,
      sql`${tokens.familyId} = ${familyId} and ${tokens.type} = 'refresh' and ${tokens.revokedAt} is null and ${tokens.createdAt} >= ${released}::timestamptz`,
    )
    expect(successors).toBe(1)
    expect((await refresh(refreshToken, clientId)).result).toBe('grace')
  })
})

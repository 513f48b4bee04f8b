/** Each rule of what is live stands once as a condition and once as a function: whatever the row, they agree. */
import { and, eq, inArray, type SQL } from 'drizzle-orm'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorizationCodes } from '#/database/schema/authorization-codes.ts'
import { clients } from '#/database/schema/clients.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { users } from '#/database/schema/users.ts'
import { isExpiredCode, whereRedeemableCode } from '#/domain/authorization-codes/code-state.ts'
import {
  isActiveClient,
  whereActiveClient,
  whereInactiveClient,
  wherePendingClient,
} from '#/domain/clients/client-state.ts'
import {
  deviceCodeStatusOf,
  whereApprovedDeviceCode,
  whereEndedDeviceCode,
  whereOpenDeviceCode,
  whereOverdueDeviceCode,
  wherePendingDeviceCode,
} from '#/domain/device-codes/device-code-state.ts'
import { countSessions, countTokens } from '#/domain/entity-counts/entity-counts.ts'
import {
  sessionStatusOf,
  whereLapsedSession,
  whereLiveSession,
  whereOpenSession,
} from '#/domain/sessions/session-state.ts'
import { isLiveToken, whereLiveToken } from '#/domain/tokens/token-state.ts'
import { findLiveAccessToken } from '#/domain/tokens/tokens.ts'
import { whereActiveUser, whereInactiveUser } from '#/domain/users/user-state.ts'
import { clientStatuses, deviceCodeStatuses } from '#/protocol/vocabulary.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { addClient, addUser } from '../support/people.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

const now = new Date('2026-06-01T12:00:00.000Z')
const at = (ms: number) => new Date(now.getTime() + ms)

/** Before, at and after now: rules differ at the moment itself. */
const offset = fc.constantFrom(-60_000, -1, 0, 1, 60_000)
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
const rowsOf = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.array(arbitrary, { minLength: 1, maxLength: 30 })

const holds = <T>(rows: fc.Arbitrary<T[]>, check: (rows: T[]) => Promise<void>) =>
  fc.assert(fc.asyncProperty(rows, check), { numRuns: 15 })

async function addParty(isActive = true, status: (typeof clientStatuses)[number] = 'active') {
  const { db } = database
  const user = await addUser(db)
  await db.update(users).set({ isActive }).where(eq(users.id, user.id))
  const { clientId } = (await addClient(db)).client
  await db.update(clients).set({ status }).where(eq(clients.clientId, clientId))
  return { userId: user.id, clientId }
}

const anySession = fc.record({
  expires: offset,
  idle: maybe(offset),
  ended: fc.boolean(),
  ofActive: fc.boolean(),
})

describe('sessions', () => {
  it('are live by the condition if they are accepted by the function, and are counted so', async () => {
    const { db } = database
    const [active, inactive] = [await addParty(), await addParty(false)]
    await holds(rowsOf(anySession), async (rows) => {
      const ids = rows.map(() => crypto.randomUUID())
      await db.insert(sessions).values(
        rows.map(({ expires, idle, ended, ofActive }, n) => ({
          id: ids[n] ?? '',
          userId: (ofActive ? active : inactive).userId,
          loginSource: 'local' as const,
          remembered: false,
          browser: '',
          platform: '',
          ip: '',
          createdAt: at(-3_600_000),
          lastSeenAt: at(-3_600_000),
          expiresAt: at(expires),
          idleExpiresAt: idle === null ? null : at(idle),
          ...(ended && { endedAt: at(-1000), endReason: 'logout' as const }),
        })),
      )
      const find = (which?: SQL) =>
        db
          .select({ session: sessions, user: users })
          .from(sessions)
          .innerJoin(users, eq(users.id, sessions.userId))
          .where(and(inArray(sessions.id, ids), which))
      const all = (await find()).map((found) => ({
        ...found,
        status: sessionStatusOf(found, null, now),
      }))
      const idsWhere = async (which: SQL) => (await find(which)).map(({ session }) => session.id)
      const idsOf = (wanted: (status: string) => boolean) =>
        all.filter(({ status }) => wanted(status)).map(({ session }) => session.id)
      const isLive = (status: string) => ['accepted', 'account_inactive'].includes(status)
      const isLapsed = (status: string) => ['timeout', 'idle_timeout'].includes(status)
      expect((await idsWhere(whereLiveSession(now))).sort()).toEqual(idsOf(isLive).sort())
      expect((await idsWhere(whereLapsedSession(now))).sort()).toEqual(idsOf(isLapsed).sort())
      expect((await idsWhere(whereOpenSession)).sort()).toEqual(
        idsOf((status) => status !== 'already_ended').sort(),
      )
      expect(await countSessions(db, now)).toBe(idsOf((status) => status === 'accepted').length)
      await db.delete(sessions).where(inArray(sessions.id, ids))
    })
  }, 60_000)
})

const anyToken = fc.record({
  expires: offset,
  revoked: fc.boolean(),
  userActive: maybe(fc.boolean()),
  status: fc.constantFrom(...clientStatuses),
})

describe('tokens', () => {
  it('are live by the condition if they are by the function, and are counted if they are accepted', async () => {
    const { db } = database
    const active = await addParty()
    const inactive = await addParty(false)
    const byStatus = new Map<string, string>()
    for (const status of clientStatuses)
      byStatus.set(status, (await addParty(true, status)).clientId)
    await holds(rowsOf(anyToken), async (rows) => {
      const values = rows.map(({ expires, revoked, userActive, status }) => ({
        id: crypto.randomUUID(),
        type: 'access' as const,
        familyId: crypto.randomUUID(),
        clientId: byStatus.get(status) ?? '',
        userId: userActive === null ? null : (userActive ? active : inactive).userId,
        scope: 'openid',
        createdAt: at(-3_600_000),
        expiresAt: at(expires),
        ...(revoked && { revokedAt: at(-1000), revocationReason: 'user_request' as const }),
      }))
      const ids = values.map(({ id }) => id)
      const stored = await db.insert(tokens).values(values).returning()
      const live = await db
        .select({ id: tokens.id })
        .from(tokens)
        .where(and(inArray(tokens.id, ids), whereLiveToken(now)))
      const expected = stored.filter((token) => isLiveToken(token, now)).map(({ id }) => id)
      expect(live.map(({ id }) => id).sort()).toEqual(expected.sort())
      const found = await Promise.all(ids.map((id) => findLiveAccessToken(db, id, now)))
      const accepted = found.filter((token) => token !== undefined).length
      expect(await countTokens(db, now)).toEqual({ access: accepted, refresh: 0 })
      await db.delete(tokens).where(inArray(tokens.id, ids))
    })
  }, 60_000)
})

describe('device codes', () => {
  it('are what the function says by each condition', async () => {
    const { db } = database
    const { clientId } = await addParty()
    const anyCode = fc.record({ expires: offset, status: fc.constantFrom(...deviceCodeStatuses) })
    await holds(rowsOf(anyCode), async (rows) => {
      const stored = await db
        .insert(deviceCodes)
        .values(
          rows.map(({ expires, status }) => ({
            id: crypto.randomUUID(),
            deviceCodeHash: crypto.randomUUID(),
            userCodeHash: crypto.randomUUID(),
            clientId,
            scope: 'openid',
            status,
            ip: '',
            requester: '',
            familyId: crypto.randomUUID(),
            intervalSeconds: 5,
            createdAt: at(-3_600_000),
            expiresAt: at(expires),
          })),
        )
        .returning()
      const ids = stored.map(({ id }) => id)
      const conditions = [
        [wherePendingDeviceCode(now), (is: string) => is === 'pending'],
        [whereApprovedDeviceCode(now), (is: string) => is === 'approved'],
        [whereOpenDeviceCode(now), (is: string) => is === 'pending' || is === 'approved'],
        [whereOverdueDeviceCode(now), (is: string, was: string) => is === 'expired' && was !== is],
        [whereEndedDeviceCode, (_: string, was: string) => was !== 'pending' && was !== 'approved'],
      ] as const
      for (const [which, says] of conditions) {
        const found = await db
          .select({ id: deviceCodes.id })
          .from(deviceCodes)
          .where(and(inArray(deviceCodes.id, ids), which))
        const expected = stored.filter((code) => says(deviceCodeStatusOf(code, now), code.status))
        expect(found.map(({ id }) => id).sort()).toEqual(expected.map(({ id }) => id).sort())
      }
      await db.delete(deviceCodes).where(inArray(deviceCodes.id, ids))
    })
  }, 60_000)
})

describe('authorization codes', () => {
  it('are redeemable by the condition unless they are used, or expired by the function', async () => {
    const { db } = database
    const party = await addParty()
    const anyCode = fc.record({ expires: offset, used: fc.boolean() })
    await holds(rowsOf(anyCode), async (rows) => {
      const stored = await db
        .insert(authorizationCodes)
        .values(
          rows.map(({ expires, used }) => ({
            ...party,
            codeHash: crypto.randomUUID(),
            sessionId: crypto.randomUUID(),
            familyId: crypto.randomUUID(),
            redirectUri: '',
            scope: 'openid',
            expiresAt: at(expires),
            consumedAt: used ? at(-1000) : null,
          })),
        )
        .returning()
      const ids = stored.map(({ codeHash }) => codeHash)
      const found = await db
        .select({ id: authorizationCodes.codeHash })
        .from(authorizationCodes)
        .where(and(inArray(authorizationCodes.codeHash, ids), whereRedeemableCode(now)))
      const expected = stored
        .filter((code) => code.consumedAt === null && !isExpiredCode(code, now))
        .map(({ codeHash }) => codeHash)
      expect(found.map(({ id }) => id).sort()).toEqual(expected.sort())
      await db.delete(authorizationCodes).where(inArray(authorizationCodes.codeHash, ids))
    })
  }, 60_000)
})

describe('users and clients', () => {
  it.each(clientStatuses)('that are %s are one of active and not', async (status) => {
    const { db } = database
    const { clientId } = await addParty(true, status)
    const is = async (which: SQL) =>
      (await db.$count(clients, and(eq(clients.clientId, clientId), which))) === 1
    expect(await is(whereActiveClient)).toBe(isActiveClient({ status }))
    expect(await is(whereInactiveClient)).toBe(!isActiveClient({ status }))
    expect(await is(wherePendingClient)).toBe(status === 'pending')
  })

  it.each([true, false])(
    'whose account is active (%s) are so by both conditions',
    async (active) => {
      const { db } = database
      const { userId } = await addParty(active)
      const is = async (which: SQL) =>
        (await db.$count(users, and(eq(users.id, userId), which))) === 1
      expect([await is(whereActiveUser), await is(whereInactiveUser)]).toEqual([active, !active])
    },
  )
})

import { count, eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { endSession } from '#/domain/access-revocation/end-sessions.ts'
import { changePassword, deleteUser, disableUser } from '#/domain/access-revocation/end-users.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import { denyDevice } from '#/domain/device-codes/decide.ts'
import { deleteOldDeviceCodes, expireDeviceCodes } from '#/domain/device-codes/device-codes.ts'
import { countDeviceCodes } from '#/domain/entity-counts/entity-counts.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { agePoll } from '../support/database-time.ts'
import {
  addApproved,
  addDeviceClient,
  approve,
  askForCodes,
  deviceLifetimeMs,
  deviceSecrets,
  findDevice,
  poll,
} from '../support/devices.ts'
import { addSession } from '../support/grants.ts'
import { addAdmin, addUser } from '../support/people.ts'
import { rounds } from '../support/rounds.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

const setUp = async () => {
  const { db } = database
  const user = await addUser(db)
  const { client } = await addDeviceClient(db)
  return { db, user, clientId: client.clientId }
}

const by = async () => ({
  actor: await addAdmin(database.db),
  origin: systemOrigin,
  now: new Date(),
})
const inSeconds = (from: Date, seconds: number) => new Date(from.getTime() + seconds * 1000)
const rowOf = async (deviceCode: string) =>
  (
    await database.db
      .select()
      .from(deviceCodes)
      .where(eq(deviceCodes.deviceCodeHash, sha256(deviceCode)))
  )[0]
const tokensOf = async (familyId: string) =>
  (await database.db.select({ n: count() }).from(tokens).where(eq(tokens.familyId, familyId)))[0]?.n

describe('redeeming a device code', () => {
  it('gives one of fifty parallel requests the tokens, and the others nothing', async () => {
    const { db, user, clientId } = await setUp()
    for (let round = 0; round < rounds(30); round += 1) {
      const { deviceCode, code } = await addApproved(db, user, clientId)
      const polls = await Promise.all(
        Array.from({ length: 50 }, () => poll(db, deviceCode, clientId)),
      )
      const results = polls.map(({ result }) => result).sort()
      expect(results).toEqual([...Array<string>(49).fill('invalid'), 'success'])
      // One access and one refresh token; a second request ends none of them.
      expect(await tokensOf(code.familyId)).toBe(2)
      expect(polls.find(({ result }) => result === 'success')).toMatchObject({
        access: { revokedAt: null, familyId: code.familyId },
      })
    }
  }, 300_000)

  it('hands on what was granted: scope, resources, when and how the user signed in', async () => {
    const { db, user, clientId } = await setUp()
    const resources = ['https://a.example.test', 'https://b.example.test']
    const { deviceCode, code } = await addApproved(db, user, clientId, { resources })
    const redeemed = await poll(db, deviceCode, clientId, {
      resources: resources.slice(1),
      dpopJkt: 'key',
      bindRefresh: true,
    })
    if (redeemed.result !== 'success') throw new Error(redeemed.result)
    expect(redeemed.user.id).toBe(user.id)
    expect(redeemed.access).toMatchObject({
      userId: user.id,
      clientId,
      scope: 'openid offline_access',
      resources: resources.slice(1),
      dpopJkt: 'key',
      authTime: code.authTime,
      details: { amr: ['pwd'] },
      // A device is not the browser that let it in.
      sessionId: null,
    })
    const [refresh] = await db
      .select()
      .from(tokens)
      .where(eq(tokens.secretHash, sha256(redeemed.refreshToken ?? '')))
    expect(refresh).toMatchObject({ familyId: code.familyId, resources, dpopJkt: 'key' })
  })

  it('leaves the code unused when the client is another or a resource was not granted', async () => {
    const { db, user, clientId } = await setUp()
    const { deviceCode } = await addApproved(db, user, clientId)
    const stranger = await addDeviceClient(db)
    expect(await poll(db, deviceCode, stranger.client.clientId)).toEqual({ result: 'invalid' })
    await expect(
      poll(db, deviceCode, clientId, { resources: ['https://a.example.test'] }),
    ).rejects.toMatchObject({ code: 'invalid_target' })
    expect(await poll(db, deviceCode, clientId)).toMatchObject({ result: 'success' })
  })

  it('stays undone when its transaction does not commit', async () => {
    const { db, user, clientId } = await setUp()
    const { deviceCode, code } = await addApproved(db, user, clientId)
    const crash = db.transaction(async (tx) => {
      expect(await poll(tx, deviceCode, clientId)).toMatchObject({ result: 'success' })
      throw new Error('crash')
    })
    await expect(crash).rejects.toThrow('crash')
    expect(await tokensOf(code.familyId)).toBe(0)
    expect(await poll(db, deviceCode, clientId)).toMatchObject({ result: 'success' })
  })

  it('gives a refresh token by the same rule as codes', async () => {
    const { db, user, clientId } = await setUp()
    const refreshTokenFor = async (scope: string, refreshTokens = true) => {
      const { deviceCode } = await addApproved(db, user, clientId, { scope })
      const redeemed = await poll(db, deviceCode, clientId, { refreshTokens })
      return redeemed.result === 'success' && redeemed.refreshToken !== undefined
    }
    expect(await refreshTokenFor('openid')).toBe(false)
    expect(await refreshTokenFor('openid offline_access')).toBe(true)
    expect(await refreshTokenFor('read')).toBe(true)
    expect(await refreshTokenFor('read', false)).toBe(false)
  })

  it('says what became of a code for as long as it is remembered', async () => {
    const { db, user, clientId } = await setUp()
    const now = new Date()
    const late = inSeconds(now, deviceLifetimeMs / 1000)
    const pending = await askForCodes(db, clientId, { now })
    const approved = await addApproved(db, user, clientId, { now })
    for (const { deviceCode } of [pending, approved]) {
      expect(await poll(db, deviceCode, clientId, { now: late })).toEqual({ result: 'expired' })
    }
    await expireDeviceCodes(db, late, 1000)
    await deleteOldDeviceCodes(db, inSeconds(late, -1), 1000)
    for (const { deviceCode } of [pending, approved]) {
      expect(await poll(db, deviceCode, clientId, { now: late })).toEqual({ result: 'expired' })
      expect((await rowOf(deviceCode))?.status).toBe('expired')
    }
    await deleteOldDeviceCodes(db, inSeconds(late, 1), 1000)
    expect(await poll(db, pending.deviceCode, clientId, { now: late })).toEqual({
      result: 'invalid',
    })
  })

  it.each<[string, (at: Awaited<ReturnType<typeof setUp>>) => Promise<unknown>, number]>([
    ['disabling the user', async ({ user }) => disableUser(database.db, user.id, await by()), 1],
    [
      'a new password',
      async ({ user }) =>
        changePassword(database.db, { id: user.id, passwordHash: 'x' }, await by()),
      1,
    ],
    [
      'taking the consent back',
      async ({ user }) => {
        const [consent] = await listConsents(database.db, user.id)
        return revokeConsent(
          database.db,
          { id: consent?.id ?? '', user, now: new Date() },
          systemOrigin,
        )
      },
      1,
    ],
  ])('is no longer possible after %s, and says that it was denied', async (_, end, expected) => {
    const at = await setUp()
    const { deviceCode } = await addApproved(at.db, at.user, at.clientId)
    const used = await addApproved(at.db, at.user, at.clientId)
    await poll(at.db, used.deviceCode, at.clientId)
    expect(await end(at)).toMatchObject({ deviceCodes: expected })
    expect(await poll(at.db, deviceCode, at.clientId)).toEqual({ result: 'denied' })
    expect((await rowOf(used.deviceCode))?.status).toBe('redeemed')
  })

  it('is no longer possible once user or client are gone', async () => {
    const at = await setUp()
    const { deviceCode } = await addApproved(at.db, at.user, at.clientId)
    expect(await deleteUser(at.db, at.user.id, await by())).toMatchObject({ deviceCodes: 1 })
    expect(await poll(at.db, deviceCode, at.clientId)).toEqual({ result: 'invalid' })

    const other = await addUser(at.db)
    const second = await addApproved(at.db, other, at.clientId)
    await setClientStatus(at.db, { clientId: at.clientId, status: 'inactive' }, await by())
    expect(await poll(at.db, second.deviceCode, at.clientId)).toEqual({ result: 'denied' })
  })
})

describe('polling a device code', () => {
  it('makes the interval five seconds longer for each request that comes too early, and remembers it', async () => {
    const { db, clientId } = await setUp()
    const start = new Date()
    const { deviceCode } = await askForCodes(db, clientId, { now: start })
    let last = 0
    const at = async (seconds: number) => {
      await agePoll(db, deviceCode, (seconds - last) * 1000)
      last = seconds
      return (await poll(db, deviceCode, clientId, { now: inSeconds(start, seconds) })).result
    }
    expect(await at(0)).toBe('pending')
    expect(await at(5)).toBe('pending')
    // A second of jitter is forgiven.
    expect(await at(9)).toBe('pending')
    expect(await at(12)).toBe('slow_down')
    // Ten seconds from here on.
    expect(await at(18)).toBe('slow_down')
    // Fifteen.
    expect(await at(31)).toBe('slow_down')
    expect(await at(51)).toBe('pending')
    expect(await at(71)).toBe('pending')
    expect((await rowOf(deviceCode))?.intervalSeconds).toBe(20)
  })

  it('lets one of many parallel requests through and slows the others down', async () => {
    const { db, clientId } = await setUp()
    const { deviceCode } = await askForCodes(db, clientId)
    const now = new Date()
    const polls = await Promise.all(
      Array.from({ length: 20 }, () => poll(db, deviceCode, clientId, { now })),
    )
    expect(polls.map(({ result }) => result).sort()).toEqual([
      'pending',
      ...Array<string>(19).fill('slow_down'),
    ])
    expect((await rowOf(deviceCode))?.intervalSeconds).toBe(5 + 19 * 5)
  })

  it('never keeps an approved device waiting, however often it asks', async () => {
    const { db, user, clientId } = await setUp()
    const now = new Date()
    const { deviceCode, userCode } = await askForCodes(db, clientId, { now })
    await poll(db, deviceCode, clientId, { now })
    expect(await poll(db, deviceCode, clientId, { now })).toEqual({ result: 'slow_down' })
    const waiting = await findDevice(db, userCode)
    await approve(db, {
      id: waiting?.code.id ?? '',
      user,
      sessionId: await addSession(db, user),
    })
    expect(await poll(db, deviceCode, clientId, { now })).toMatchObject({ result: 'success' })
  })

  it('of another client’s code moves nothing', async () => {
    const { db, clientId } = await setUp()
    const stranger = await addDeviceClient(db)
    const { deviceCode } = await askForCodes(db, clientId)
    const before = await rowOf(deviceCode)
    expect(await poll(db, deviceCode, stranger.client.clientId)).toEqual({ result: 'invalid' })
    expect(await rowOf(deviceCode)).toEqual(before)
  })
})

describe('answering a device', () => {
  it('counts once, whoever answers in parallel', async () => {
    const { db, user, clientId } = await setUp()
    const others = await Promise.all([addUser(db), addUser(db)])
    for (let round = 0; round < 10; round += 1) {
      const { userCode, deviceCode } = await askForCodes(db, clientId)
      const id = (await findDevice(db, userCode))?.code.id ?? ''
      const sessions = await Promise.all([user, ...others].map((one) => addSession(db, one)))
      const answers = await Promise.all([
        ...[user, ...others].map((one, n) =>
          approve(db, { id, user: one, sessionId: sessions[n] ?? '' }),
        ),
        denyDevice(db, { id, user, now: new Date() }, systemOrigin),
      ])
      const won = answers.flatMap((answer) => answer ?? [])
      expect(won).toHaveLength(1)
      const row = await rowOf(deviceCode)
      expect(row?.status).toBe(won[0]?.code.status)
      expect(row?.userId).toBe(won[0]?.code.userId)
      // The losers have left no consent behind.
      const consents = await Promise.all(others.map((one) => listConsents(db, one.id)))
      const winner = others.findIndex((one) => one.id === row?.userId)
      if (round === 0)
        expect(consents.map((list) => list.length)).toEqual([0, 1].map((n) => +(n === winner)))
    }
  })

  it('says whether the consent is new, and leaves a refusal without one', async () => {
    const { db, user, clientId } = await setUp()
    const answer = async (scope: string) => {
      const { userCode } = await askForCodes(db, clientId, { scope })
      const id = (await findDevice(db, userCode))?.code.id ?? ''
      return approve(db, { id, user, sessionId: await addSession(db, user) })
    }
    const refused = await findDevice(db, (await askForCodes(db, clientId)).userCode)
    const id = refused?.code.id ?? ''
    expect(await denyDevice(db, { id, user, now: new Date() }, systemOrigin)).toBeDefined()
    expect(await listConsents(db, user.id)).toEqual([])
    expect((await answer('openid'))?.consented).toBe(true)
    expect((await answer('openid'))?.consented).toBe(false)
    expect((await answer('openid email'))?.consented).toBe(true)
  })

  it('needs a live session of that very user, an active user and a client that may use the grant', async () => {
    const { db, user, clientId } = await setUp()
    const other = await addUser(db)
    const attempt = async (
      prepare: (sessionId: string) => Promise<unknown>,
      more: { clientId?: string; sessionOf?: typeof user } = {},
    ) => {
      const { deviceCode } = await askForCodes(db, more.clientId ?? clientId)
      const id = (await rowOf(deviceCode))?.id ?? ''
      const sessionId = await addSession(db, more.sessionOf ?? user)
      await prepare(sessionId)
      const answer = await approve(db, { id, user, sessionId })
      return [answer, (await rowOf(deviceCode))?.status]
    }
    const refused = [undefined, 'pending']
    expect(
      await attempt((id) => endSession(db, id, { reason: 'logout', now: new Date() })),
    ).toEqual(refused)
    expect(await attempt(async () => {}, { sessionOf: other })).toEqual(refused)
    const gone = await addDeviceClient(db)
    const switchOff = async () =>
      setClientStatus(db, { clientId: gone.client.clientId, status: 'inactive' }, await by())
    expect(await attempt(switchOff, { clientId: gone.client.clientId })).toEqual([
      undefined,
      'denied',
    ])
    const without = await addDeviceClient(db, { grantTypes: ['authorization_code'] })
    expect(await attempt(async () => {}, { clientId: without.client.clientId })).toEqual(refused)
    expect(await attempt(async () => disableUser(db, user.id, await by()))).toEqual(refused)
  })

  it('is too late once the code has expired, for a yes and for a no', async () => {
    const { db, user, clientId } = await setUp()
    const { userCode } = await askForCodes(db, clientId)
    const id = (await findDevice(db, userCode))?.code.id ?? ''
    const now = inSeconds(new Date(), deviceLifetimeMs / 1000)
    const sessionId = await addSession(db, user)
    expect(await approve(db, { id, user, sessionId, now })).toBeUndefined()
    expect(await denyDevice(db, { id, user, now }, systemOrigin)).toBeUndefined()
    expect(await findDevice(db, userCode, { now })).toBeUndefined()
  })
})

describe('user codes', () => {
  it('are drawn again when they are taken, and never fail for that', async () => {
    const { db, clientId } = await setUp()
    const taken = (await askForCodes(db, clientId)).userCode
    const drawn = [taken, taken, 'BCDF-GHJK']
    const { userCode } = await askForCodes(db, clientId, {
      newUserCode: () => drawn.shift() ?? '',
    })
    expect(userCode).toBe('BCDF-GHJK')
    expect(drawn).toEqual([])
  })

  it('are found after the secret was rotated, and belong to nobody when two secrets drew the same', async () => {
    const { db, clientId } = await setUp()
    const { userCode } = await askForCodes(db, clientId)
    const newer = ['n'.repeat(32), ...deviceSecrets]
    expect((await findDevice(db, userCode, { secrets: newer }))?.client.clientId).toBe(clientId)
    expect(await findDevice(db, userCode, { secrets: newer.slice(0, 1) })).toBeUndefined()
    await askForCodes(db, clientId, { secrets: newer, newUserCode: () => userCode })
    expect(await findDevice(db, userCode, { secrets: newer })).toBeUndefined()
  })

  it('and device codes are stored as digests that cannot be guessed', async () => {
    const { db, clientId } = await setUp()
    const { deviceCode, userCode } = await askForCodes(db, clientId)
    const row = JSON.stringify(await rowOf(deviceCode))
    for (const plain of [deviceCode, userCode, userCode.replace('-', ''), sha256(userCode)])
      expect(row).not.toContain(plain)
  })
})

describe('open device codes', () => {
  const open = async (now = new Date()) => {
    const { pending, approved } = await countDeviceCodes(database.db, now)
    return [pending, approved] as const
  }

  it('are counted as exactly those that can still lead to tokens', async () => {
    const { db, user, clientId } = await setUp()
    const [pending, approved] = await open()
    await askForCodes(db, clientId)
    const { deviceCode } = await addApproved(db, user, clientId)
    expect(await open()).toEqual([pending + 1, approved + 1])
    await poll(db, deviceCode, clientId)
    expect(await open()).toEqual([pending + 1, approved])
    await setClientStatus(db, { clientId, status: 'inactive' }, await by())
    expect(await open()).toEqual([pending, approved])
    expect(await open(inSeconds(new Date(), 2 * deviceLifetimeMs))).toEqual([0, 0])
  })

  it('expire once, whoever sweeps in parallel, and are forgotten only after that', async () => {
    const { db, user, clientId } = await setUp()
    const late = inSeconds(new Date(), 2 * deviceLifetimeMs)
    await expireDeviceCodes(db, late, 1000)
    const codes = await Promise.all(Array.from({ length: 6 }, () => askForCodes(db, clientId)))
    await addApproved(db, user, clientId)
    expect(await deleteOldDeviceCodes(db, late, 1000)).toBeGreaterThan(0)
    const sweeps = await Promise.all(
      Array.from({ length: 4 }, () => expireDeviceCodes(db, late, 3)),
    )
    sweeps.push(await expireDeviceCodes(db, late, 1000))
    expect(sweeps.reduce((sum, n) => sum + n, 0)).toBe(7)
    expect((await rowOf(codes[0]?.deviceCode ?? ''))?.status).toBe('expired')
    expect(await deleteOldDeviceCodes(db, late, 1000)).toBe(7)
  })
})

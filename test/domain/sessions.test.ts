import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sessions } from '#/database/schema/sessions.ts'
import { users } from '#/database/schema/users.ts'
import {
  endLapsedSessions,
  endOwnSession,
  endSession,
  endSessionsOfUser,
} from '#/domain/access-revocation/end-sessions.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { countSessions } from '#/domain/entity-counts/entity-counts.ts'
import { sessionStatusOf } from '#/domain/sessions/session-state.ts'
import {
  deleteEndedSessions,
  findSession,
  listLiveSessions,
  touchSession,
} from '#/domain/sessions/sessions.ts'
import { startSession } from '#/domain/sign-in/start-session.ts'
import type { User } from '#/domain/users/users.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { addAdmin, addUser } from '../support/people.ts'

const minute = 60_000
const hour = 60 * minute

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

async function start(user: User, more: Partial<Parameters<typeof startSession>[1]> = {}) {
  const id = crypto.randomUUID()
  const now = more.now ?? new Date()
  const started = await startSession(
    database.db,
    {
      id,
      user,
      source: 'local',
      browser: 'Firefox',
      platform: 'Linux',
      ip: '192.0.2.1',
      fingerprint: 'print',
      remembered: false,
      lifetimeMs: 12 * hour,
      idleMs: 30 * minute,
      most: 0,
      replaces: undefined,
      now,
      ...more,
    },
    systemOrigin,
  )
  return { id, started }
}

const rowOf = async (id: string) =>
  (await database.db.select().from(sessions).where(eq(sessions.id, id)))[0]

/** What the middleware would say of every row, against what the gauge says. */
async function acceptedByMiddleware(now: Date): Promise<number> {
  const rows = await database.db.select({ id: sessions.id }).from(sessions)
  const found = await Promise.all(rows.map(({ id }) => findSession(database.db, id)))
  return found.filter(
    (one) => one && sessionStatusOf(one, one.session.fingerprint, now) === 'accepted',
  ).length
}

describe('the session ledger', () => {
  it('ends a session once, however many end it at the same moment', async () => {
    const { id } = await start(await addUser(database.db))
    const now = new Date()
    const ends = await Promise.all(
      Array.from({ length: 50 }, () => endSession(database.db, id, { reason: 'logout', now })),
    )
    expect(ends.flat()).toEqual([expect.objectContaining({ id, reason: 'logout' })])
  })

  it('gives a lapsed session the reason and moment of the deadline that passed first, whoever finds it', async () => {
    const user = await addUser(database.db)
    const created = new Date(Date.now() - 13 * hour)
    const idle = await start(user, { now: created })
    const absolute = await start(user, { now: created, idleMs: 0 })
    const now = new Date()
    expect(await endSession(database.db, idle.id, { reason: 'logout', now })).toMatchObject([
      { reason: 'idle_timeout', seconds: 1800 },
    ])
    expect(await endSession(database.db, absolute.id, { reason: 'revoked', now })).toMatchObject([
      { reason: 'timeout', seconds: 43_200 },
    ])
    expect((await rowOf(idle.id))?.endedAt).toEqual(new Date(created.getTime() + 30 * minute))
  })

  it('sweeps lapsed sessions once when several replicas sweep together', async () => {
    const user = await addUser(database.db)
    const created = new Date(Date.now() - 2 * hour)
    await Promise.all(Array.from({ length: 20 }, () => start(user, { now: created })))
    const sweep = { now: new Date(), limit: 7 }
    const swept = await Promise.all(
      Array.from({ length: 6 }, () => endLapsedSessions(database.db, sweep)),
    )
    const ids = swept.flat().filter((end) => end.userId === user.id)
    expect(new Set(ids.map(({ id }) => id)).size).toBe(ids.length)
    expect(ids).toHaveLength(20)
    expect(ids.every(({ reason, seconds }) => reason === 'idle_timeout' && seconds === 1800)).toBe(
      true,
    )
  })

  it('ends the session of the same browser as replaced, in the transaction of the new one', async () => {
    const user = await addUser(database.db)
    const first = await start(user)
    const second = await start(user, { replaces: first.id })
    expect(second.started?.ended).toMatchObject([{ id: first.id, reason: 'replaced' }])
    expect((await listLiveSessions(database.db, user.id, new Date())).map(({ id }) => id)).toEqual([
      second.id,
    ])
  })

  it('ends the oldest sessions of a user who starts more than they may have, and no others', async () => {
    const [user, other] = [await addUser(database.db), await addUser(database.db)]
    const kept = await start(other)
    const ago = (minutes: number) => new Date(Date.now() - minutes * minute)
    const old = []
    for (const minutes of [5, 4, 3, 2]) old.push(await start(user, { now: ago(minutes) }))
    const fifth = await start(user, { most: 3 })
    const ended = fifth.started?.ended ?? []
    expect(ended.map(({ id, reason }) => [id, reason])).toEqual([
      [old[1]?.id, 'revoked'],
      [old[0]?.id, 'revoked'],
    ])
    const sixth = await start(user, { most: 3, replaces: fifth.id })
    expect(sixth.started?.ended).toMatchObject([{ id: fifth.id, reason: 'replaced' }])
    expect((await rowOf(kept.id))?.endedAt).toBeNull()
  })

  it('leaves exactly as many sessions as a user may have, however many start at once', async () => {
    const user = await addUser(database.db)
    const started = await Promise.all(Array.from({ length: 12 }, () => start(user, { most: 3 })))
    const ended = started.flatMap((one) => one.started?.ended ?? [])
    expect(new Set(ended.map(({ id }) => id)).size).toBe(9)
    expect(ended).toHaveLength(9)
    expect(await listLiveSessions(database.db, user.id, new Date())).toHaveLength(3)
  })

  it('starts nothing when the account was disabled or its password changed since the check', async () => {
    const user = await addUser(database.db)
    await database.db.update(users).set({ passwordHash: 'another' }).where(eq(users.id, user.id))
    expect((await start(user)).started).toBeUndefined()
    const disabled = await addUser(database.db)
    await database.db.update(users).set({ isActive: false }).where(eq(users.id, disabled.id))
    const refused = await start(disabled)
    expect(refused.started).toBeUndefined()
    expect(await rowOf(refused.id)).toBeUndefined()
  })

  it('lets no sign-in slip in behind a disable, in any interleaving', async () => {
    const admin = await addAdmin(database.db)
    for (let round = 0; round < 10; round += 1) {
      const user = await addUser(database.db)
      const now = new Date()
      await Promise.all([
        start(user),
        start(user),
        disableUser(database.db, user.id, { actor: admin, origin: systemOrigin, now }),
        start(user),
      ])
      expect(await listLiveSessions(database.db, user.id, new Date())).toEqual([])
      const live = await database.db.select().from(sessions).where(eq(sessions.userId, user.id))
      expect(live.every(({ endReason }) => endReason === 'account_inactive')).toBe(true)
    }
  })

  it('ends only the caller’s own sessions by id, and all others but one', async () => {
    const [ada, eve] = [await addUser(database.db), await addUser(database.db)]
    const { id } = await start(ada)
    const end = { reason: 'revoked', now: new Date() } as const
    expect(await endOwnSession(database.db, { userId: eve.id, id }, end)).toEqual([])
    const kept = await start(ada)
    await endSessionsOfUser(database.db, ada.id, { ...end, except: kept.id })
    expect((await listLiveSessions(database.db, ada.id, new Date())).map((row) => row.id)).toEqual([
      kept.id,
    ])
  })

  it('moves the idle deadline at most once a minute and never revives a lapsed session', async () => {
    const user = await addUser(database.db)
    const created = new Date()
    const { id } = await start(user, { now: created })
    const touch = async (after: number) => {
      const found = await findSession(database.db, id)
      if (found)
        await touchSession(database.db, found.session, {
          now: new Date(created.getTime() + after),
          idleMs: 30 * minute,
          everyMs: minute,
        })
      return (await rowOf(id))?.idleExpiresAt?.getTime()
    }
    expect(await touch(59_000)).toBe(created.getTime() + 30 * minute)
    expect(await touch(61_000)).toBe(created.getTime() + 61_000 + 30 * minute)
    expect(await touch(3 * hour)).toBe(created.getTime() + 61_000 + 30 * minute)
  })

  it('keeps no idle deadline for a remembered session', async () => {
    const { id } = await start(await addUser(database.db), { remembered: true })
    expect((await rowOf(id))?.idleExpiresAt).toBeNull()
  })

  it('counts as active exactly the rows that the middleware would accept', async () => {
    const user = await addUser(database.db)
    const other = await addUser(database.db)
    await start(user)
    await start(user, { now: new Date(Date.now() - hour) })
    await start(user, { now: new Date(Date.now() - 13 * hour), remembered: true })
    await start(other)
    await database.db.update(users).set({ isActive: false }).where(eq(users.id, other.id))
    const gone = await addUser(database.db)
    await start(gone)
    await database.db.delete(users).where(eq(users.id, gone.id))
    const now = new Date()
    const accepted = await acceptedByMiddleware(now)
    expect(await countSessions(database.db, now)).toBe(accepted)
    expect(accepted).toBeGreaterThan(0)
  })

  it('deletes ended rows after their retention, in batches, and never a live one', async () => {
    const user = await addUser(database.db)
    const now = new Date()
    const live = await start(user)
    const ended = await start(user)
    await endSession(database.db, ended.id, { reason: 'logout', now })
    let deleted = 1
    while (deleted > 0)
      deleted = await deleteEndedSessions(database.db, new Date(now.getTime() + 1), 5)
    expect(await rowOf(ended.id)).toBeUndefined()
    expect(await rowOf(live.id)).toBeDefined()
  })
})

/** Random histories against a plain model: several processes, crashes between any two steps, clocks that jump. */
import { eq, inArray } from 'drizzle-orm'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sessions } from '#/database/schema/sessions.ts'
import { users } from '#/database/schema/users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { countSessions } from '#/domain/population/population.ts'
import {
  type EndedSession,
  endLapsedSessions,
  endOwnSession,
  endSession,
  endSessionsOfUser,
  findSession,
  judgeSession,
  touchSession,
} from '#/domain/sessions/sessions.ts'
import { startSession } from '#/domain/sessions/start-session.ts'
import { changePassword, disableUser, enableUser } from '#/domain/users/end-access.ts'
import { findUser, type User } from '#/domain/users/users.ts'
import type { SessionEndReason } from '#/protocol/vocabulary.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { addAdmin, addUser } from '../support/people.ts'

const minute = 60_000
const idleMs = 30 * minute
const lifetimeMs = 12 * 60 * minute

let database: TestDatabase
let admin: User
beforeAll(async () => {
  database = await openTestDatabase()
  admin = await addAdmin(database.db)
})
afterAll(() => database.close())

interface ModelSession {
  readonly user: number
  readonly expiresAt: number
  idleExpiresAt: number
  lastSeenAt: number
  ended: SessionEndReason | undefined
}

/** What one run of histories works on. */
interface World {
  now: number
  readonly users: User[]
  readonly active: boolean[]
  readonly model: Map<string, ModelSession>
  readonly ids: string[]
  /** What each process has recorded: its counters. */
  readonly counters: { created: number; ended: Map<SessionEndReason, number> }[]
  passwords: number
  /** What a crash between commit and count has kept from the counters. */
  readonly lost: { created: number; ended: number }
}

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('sign-in' as const),
      user: fc.nat(2),
      remembered: fc.boolean(),
      replaces: fc.option(fc.nat(20)),
      crash: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('visit' as const),
      session: fc.nat(20),
      stolen: fc.boolean(),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('sign-out' as const),
      session: fc.nat(20),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('revoke' as const),
      session: fc.nat(20),
      by: fc.nat(2),
      others: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('disable' as const), user: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('enable' as const), user: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('password' as const), user: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('sweep' as const),
      replicas: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      minutes: fc.integer({ min: 1, max: 400 }),
    }),
  },
)
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never

it('keeps gauge, counters and rows equal to a plain model in any history', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ action, process: fc.nat(1) }), { minLength: 5, maxLength: 30 }),
      async (history) => {
        const world = await createWorld()
        for (const { action, process } of history) {
          await step(world, action, process)
          await checkWorld(world)
        }
      },
    ),
    { numRuns: 40, endOnFailure: true },
  )
}, 180_000)

async function createWorld(): Promise<World> {
  const people = await Promise.all([0, 1, 2].map(() => addUser(database.db)))
  const counter = () => ({ created: 0, ended: new Map<SessionEndReason, number>() })
  return {
    now: Date.now(),
    users: people,
    active: [true, true, true],
    model: new Map(),
    ids: [],
    counters: [counter(), counter()],
    passwords: 0,
    lost: { created: 0, ended: 0 },
  }
}

async function step(world: World, action: Action, process: number): Promise<void> {
  const now = new Date(world.now)
  const { db } = database
  const id =
    'session' in action
      ? (world.ids[action.session % Math.max(1, world.ids.length)] ?? crypto.randomUUID())
      : ''
  switch (action.do) {
    case 'wait':
      world.now += action.minutes * minute
      return
    case 'sign-in':
      return signIn(world, action, process)
    case 'visit':
      await Promise.all(
        Array.from({ length: action.times }, () => visit(world, id, action.stolen, process)),
      )
      return modelVisit(world, id, action.stolen)
    case 'sign-out': {
      const ends = await Promise.all(
        Array.from({ length: action.times }, () => endSession(db, id, { reason: 'logout', now })),
      )
      record(world, process, ends.flat())
      return modelEnd(world, (key) => key === id, 'logout')
    }
    case 'revoke': {
      const userId = world.users[action.by]?.id ?? ''
      const end = { reason: 'revoked', now } as const
      const ends = action.others
        ? await endSessionsOfUser(db, userId, { ...end, except: id })
        : await endOwnSession(db, { userId, id }, end)
      record(world, process, ends)
      return modelEnd(
        world,
        (key, session) => session.user === action.by && (action.others ? key !== id : key === id),
        'revoked',
      )
    }
    case 'sweep': {
      const sweep = () => endLapsedSessions(db, { now, limit: 500 })
      const ends = (await Promise.all(Array.from({ length: action.replicas }, sweep))).flat()
      const own = new Set(world.ids)
      record(
        world,
        process,
        ends.filter((one) => own.has(one.id)),
      )
      return modelEnd(world, (_, session) => lapsed(session, world.now) !== undefined, 'timeout')
    }
    default:
      return changeUser(world, action, process)
  }
}

async function changeUser(
  world: World,
  action: Action & { do: 'disable' | 'enable' | 'password' },
  process: number,
) {
  const by = { actor: admin, origin: systemOrigin, now: new Date(world.now) }
  const id = world.users[action.user]?.id ?? ''
  if (action.do === 'enable') {
    await enableUser(database.db, id, by)
    world.active[action.user] = true
  } else if (action.do === 'disable') {
    const done = await disableUser(database.db, id, by)
    if (typeof done !== 'string') record(world, process, done.sessions)
    if (world.active[action.user])
      modelEnd(world, (_, session) => session.user === action.user, 'account_inactive')
    world.active[action.user] = false
  } else {
    world.passwords += 1
    const done = await changePassword(
      database.db,
      { id, passwordHash: `hash ${world.passwords}` },
      by,
    )
    if (typeof done !== 'string') record(world, process, done.sessions)
    modelEnd(world, (_, session) => session.user === action.user, 'password_changed')
  }
}

async function signIn(world: World, action: Action & { do: 'sign-in' }, process: number) {
  const user = await findUser(database.db, world.users[action.user]?.id ?? '')
  if (!user) throw new Error('no user')
  const id = crypto.randomUUID()
  const replaces =
    action.replaces === null
      ? undefined
      : world.ids[action.replaces % Math.max(1, world.ids.length)]
  const now = new Date(world.now)
  const started = await startSession(
    database.db,
    {
      id,
      user,
      source: 'local',
      browser: 'b',
      platform: 'p',
      ip: 'i',
      fingerprint: 'mine',
      remembered: action.remembered,
      lifetimeMs,
      idleMs,
      replaces,
      now,
    },
    systemOrigin,
  )
  expect(started !== undefined).toBe(world.active[action.user])
  if (!started) return
  world.ids.push(id)
  if (replaces) modelEnd(world, (key) => key === replaces, 'replaced')
  world.model.set(id, {
    user: action.user,
    expiresAt: world.now + lifetimeMs,
    idleExpiresAt: action.remembered ? Number.POSITIVE_INFINITY : world.now + idleMs,
    lastSeenAt: world.now,
    ended: undefined,
  })
  // A process that dies right after the commit has counted nothing, and the gauge is right all the same.
  if (action.crash) {
    world.lost.created += 1
    world.lost.ended += started.replaced.length
    return
  }
  const counters = world.counters[process]
  if (counters) counters.created += 1
  record(world, process, started.replaced)
}

/** What the middleware does with a cookie. */
async function visit(world: World, id: string, stolen: boolean, process: number) {
  const found = await findSession(database.db, id)
  if (!found) return
  const now = new Date(world.now)
  const judgement = judgeSession(found, stolen ? 'theirs' : 'mine', now)
  if (judgement === 'accepted')
    return touchSession(database.db, found.session, { now, idleMs, everyMs: minute })
  if (judgement === 'already_ended') return
  record(world, process, await endSession(database.db, id, { reason: judgement, now }))
}

function modelVisit(world: World, id: string, stolen: boolean) {
  const session = world.model.get(id)
  if (!session || session.ended) return
  const deadline = lapsed(session, world.now)
  if (deadline) session.ended = deadline
  else if (stolen) session.ended = 'fingerprint_mismatch'
  else if (world.now - session.lastSeenAt >= minute) {
    session.lastSeenAt = world.now
    if (session.idleExpiresAt !== Number.POSITIVE_INFINITY)
      session.idleExpiresAt = world.now + idleMs
  }
}

function lapsed(
  { expiresAt, idleExpiresAt }: ModelSession,
  now: number,
): SessionEndReason | undefined {
  if (expiresAt <= now && expiresAt <= idleExpiresAt) return 'timeout'
  return idleExpiresAt <= now ? 'idle_timeout' : undefined
}

function modelEnd(
  world: World,
  which: (id: string, session: ModelSession) => boolean,
  reason: SessionEndReason,
) {
  for (const [id, session] of world.model) {
    if (!session.ended && which(id, session)) session.ended = lapsed(session, world.now) ?? reason
  }
}

function record(world: World, process: number, ended: readonly EndedSession[]) {
  const counters = world.counters[process]?.ended
  for (const { reason } of ended) counters?.set(reason, (counters.get(reason) ?? 0) + 1)
}

async function checkWorld(world: World) {
  const { db } = database
  const now = new Date(world.now)
  const rows =
    world.ids.length === 0
      ? []
      : await db.select().from(sessions).where(inArray(sessions.id, world.ids))
  expect(rows.map((row) => [row.id, row.endReason]).sort()).toEqual(
    [...world.model].map(([id, session]) => [id, session.ended ?? null]).sort(),
  )
  const others = await db.select({ id: sessions.id }).from(sessions)
  const foreign = await countForeign(world, others.length, now)
  const modelLive = [...world.model.values()].filter(
    (session) => !session.ended && !lapsed(session, world.now),
  ).length
  expect((await countSessions(db, now)) - foreign).toBe(modelLive)
  const recorded = world.counters.reduce(
    (sum, { ended }) => sum + [...ended.values()].reduce((a, b) => a + b, 0),
    0,
  )
  const endedRows = rows.filter((row) => row.endReason !== null).length
  expect(recorded + world.lost.ended).toBe(endedRows)
  expect(world.counters.reduce((sum, { created }) => sum + created, world.lost.created)).toBe(
    rows.length,
  )
}

/** Live sessions of earlier runs, which the gauge counts too. */
async function countForeign(world: World, total: number, now: Date): Promise<number> {
  if (total === world.ids.length) return 0
  const live = await database.db
    .select({ session: sessions, user: users })
    .from(sessions)
    .leftJoin(users, eq(users.id, sessions.userId))
  const own = new Set(world.ids)
  return live.filter(
    (found) => !own.has(found.session.id) && judgeSession(found, null, now) === 'accepted',
  ).length
}

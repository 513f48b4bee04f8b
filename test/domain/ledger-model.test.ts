/** Random histories against a plain model: several processes, crashes between any two steps, clocks that jump. */
import { eq, inArray } from 'drizzle-orm'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sessions } from '#/database/schema/sessions.ts'
import { users } from '#/database/schema/users.ts'
import {
  type EndedSession,
  endLapsedSessions,
  endOwnSession,
  endSession,
  endSessionsOfUser,
} from '#/domain/access-revocation/end-sessions.ts'
import {
  changePassword,
  deleteUser,
  disableUser,
  type UserEnd,
} from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { countSessions } from '#/domain/entity-counts/entity-counts.ts'
import { listIdentities, removeIdentity } from '#/domain/identities/identities.ts'
import { sessionStatusOf } from '#/domain/sessions/session-state.ts'
import { findSession, touchSession } from '#/domain/sessions/sessions.ts'
import { startSession } from '#/domain/sign-in/start-session.ts'
import { enableUser } from '#/domain/users/enable-user.ts'
import type { User } from '#/domain/users/users.ts'
import type { LoginSource, SessionEndReason } from '#/protocol/vocabulary.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { addAdmin } from '../support/people.ts'
import { type Action, anyAction } from './ledger-history.ts'
import { addPerson, identify, identityOf, linkElsewhere, type Person } from './ledger-people.ts'

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
  readonly person: Person
  readonly source: LoginSource
  readonly expiresAt: number
  idleExpiresAt: number
  lastSeenAt: number
  ended: SessionEndReason | undefined
}

/** What one run of histories works on. */
interface World {
  now: number
  readonly people: Person[]
  readonly model: Map<string, ModelSession>
  readonly ids: string[]
  /** What each process has recorded: its counters. */
  readonly counters: { created: number; ended: Map<SessionEndReason, number> }[]
  /** What a crash between commit and count has kept from the counters. */
  readonly lost: { created: number; ended: number }
}

it('keeps gauge, counters and rows equal to a plain model in any history', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ action: anyAction, process: fc.nat(1) }), {
        minLength: 5,
        maxLength: 30,
      }),
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
  const people = await Promise.all([0, 1, 2].map(() => addPerson(database.db)))
  const counter = () => ({ created: 0, ended: new Map<SessionEndReason, number>() })
  return {
    now: Date.now(),
    people,
    model: new Map(),
    ids: [],
    counters: [counter(), counter()],
    lost: { created: 0, ended: 0 },
  }
}

const personOf = ({ people }: World, index: number): Person => {
  const person = people[index % people.length]
  if (!person) throw new Error('nobody is there')
  return person
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
      return signIn(world, { ...action, person: personOf(world, action.user) }, process)
    case 'newcomer':
      return arrive(world, action, process)
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
      const person = personOf(world, action.by)
      const spared = action.which === 'others' ? id : undefined
      const end = { reason: 'revoked', now, except: spared } as const
      const ends =
        action.which === 'this'
          ? await endOwnSession(db, { userId: person.user.id, id }, end)
          : await endSessionsOfUser(db, person.user.id, end)
      record(world, process, ends)
      return modelEnd(
        world,
        (key, session) =>
          session.person === person && (action.which === 'this' ? key === id : key !== spared),
        'revoked',
      )
    }
    case 'unlink':
      return unlink(world, { ...action, keep: id }, process)
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

/** Removes one way in from there, and links it anew for what comes next. */
async function unlink(
  world: World,
  { user, source, keep }: Action & { do: 'unlink' } & { keep: string },
  process: number,
) {
  const { db } = database
  const person = personOf(world, user)
  const userId = person.user.id
  const link = (await listIdentities(db, userId)).find((one) => one.source === source)
  const by = { actor: admin, origin: systemOrigin, now: new Date(world.now) }
  const done = await removeIdentity(db, { id: link?.id ?? '', userId, keepSession: keep }, by)
  if (typeof done === 'string') throw new Error(done)
  record(world, process, done.sessions)
  modelEnd(
    world,
    (id, session) => session.person === person && session.source === source && id !== keep,
    'revoked',
  )
  await linkElsewhere(db, person, source)
}

async function changeUser(
  world: World,
  action: Action & { do: 'disable' | 'enable' | 'password' | 'delete' },
  process: number,
) {
  const { db } = database
  const by = { actor: admin, origin: systemOrigin, now: new Date(world.now) }
  const person = personOf(world, action.user)
  const { id } = person.user
  const end = (done: UserEnd, reason: SessionEndReason) => {
    if (done.result === 'success') record(world, process, done.sessions)
    modelEnd(world, (_, session) => session.person === person, reason)
  }
  switch (action.do) {
    case 'enable':
      await enableUser(db, id, by)
      person.active = true
      return
    case 'disable':
      end(await disableUser(db, id, by), 'account_inactive')
      person.active = false
      return
    case 'delete':
      end(await deleteUser(db, id, by), 'account_inactive')
      // The rows of their sessions stay; whoever comes next has none of them.
      world.people[world.people.indexOf(person)] = await addPerson(database.db)
      return
    case 'password': {
      const passwordHash = `hash ${crypto.randomUUID()}`
      const done = await changePassword(db, { id, passwordHash }, by)
      // An account from elsewhere has none, and keeps its sessions.
      expect(done.result === 'no_change').toBe(person.user.authSource !== 'local')
      if (done.result === 'success') end(done, 'password_changed')
    }
  }
}

/** Somebody new, in one tab or several at a time: one account, and a session for each. */
async function arrive(
  world: World,
  { source, times }: Action & { do: 'newcomer' },
  process: number,
) {
  const subject = crypto.randomUUID()
  const username = `new-${subject.slice(0, 13)}`
  const stranger = { subject, user: { ...admin, username, email: `${username}@example.test` } }
  const now = new Date(world.now)
  const tabs = Array.from({ length: times }, () => identify(database.db, stranger, { source, now }))
  const accounts = await Promise.all(tabs)
  expect(new Set(accounts.map((account) => account?.id)).size).toBe(1)
  const [user] = accounts
  if (!user) throw new Error('nobody was let in')
  await linkElsewhere(database.db, { user, subject }, source === 'github' ? 'http_api' : 'github')
  const person = { user, subject, active: true }
  world.people.push(person)
  const plain = { source, remembered: false, replaces: null, crash: false }
  for (const _ of accounts) await signIn(world, { ...plain, person }, process)
}

interface SignIn
  extends Pick<Action & { do: 'sign-in' }, 'source' | 'remembered' | 'replaces' | 'crash'> {
  readonly person: Person
}

async function signIn(world: World, action: SignIn, process: number) {
  const { person, source } = action
  const now = new Date(world.now)
  const user = await identify(database.db, person, { source, now })
  if (!user) throw new Error('no user')
  expect(user.id).toBe(person.user.id)
  const id = crypto.randomUUID()
  const replaces =
    action.replaces === null
      ? undefined
      : world.ids[action.replaces % Math.max(1, world.ids.length)]
  const started = await startSession(
    database.db,
    {
      id,
      user,
      source,
      identity: identityOf(person, source),
      browser: 'b',
      platform: 'p',
      ip: 'i',
      fingerprint: 'mine',
      remembered: action.remembered,
      lifetimeMs,
      idleMs,
      most: 0,
      replaces,
      now,
    },
    systemOrigin,
  )
  expect(started !== undefined).toBe(person.active)
  if (!started) return
  world.ids.push(id)
  if (replaces) modelEnd(world, (key) => key === replaces, 'replaced')
  world.model.set(id, {
    person,
    source,
    expiresAt: world.now + lifetimeMs,
    idleExpiresAt: action.remembered ? Number.POSITIVE_INFINITY : world.now + idleMs,
    lastSeenAt: world.now,
    ended: undefined,
  })
  // A process that dies right after the commit has counted nothing, and the gauge is right all the same.
  if (action.crash) {
    world.lost.created += 1
    world.lost.ended += started.ended.length
    return
  }
  const counters = world.counters[process]
  if (counters) counters.created += 1
  record(world, process, started.ended)
}

/** What the middleware does with a cookie. */
async function visit(world: World, id: string, stolen: boolean, process: number) {
  const found = await findSession(database.db, id)
  if (!found) return
  const now = new Date(world.now)
  const judgement = sessionStatusOf(found, stolen ? 'theirs' : 'mine', now)
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
    (found) => !own.has(found.session.id) && sessionStatusOf(found, null, now) === 'accepted',
  ).length
}

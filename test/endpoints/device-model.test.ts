/**
 * Random histories of devices, their users and an administrator, against a plain model: two replicas, parallel requests,
 * crashes before and after a commit, a clock that jumps. After each step rows, answers, counters and gauges must agree.
 */
import { eq, inArray } from 'drizzle-orm'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { Database } from '#/database/client.ts'
import { keepDatabaseTime } from '#/database/deadline.ts'
import { consents } from '#/database/schema/consents.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { expireDeviceCodes } from '#/domain/device-codes/device-codes.ts'
import type { User } from '#/domain/users/users.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import {
  deviceCodeEnds,
  type deviceCodeStatuses,
  devicePollResults,
} from '#/protocol/vocabulary.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { agePoll } from '../support/database-time.ts'
import { addDeviceClient, approve, poll } from '../support/devices.ts'
import { postToken } from '../support/flow.ts'
import { addSession } from '../support/grants.ts'
import { addAdmin, addUser } from '../support/people.ts'
import { movedBetween, type Samples } from '../support/prometheus.ts'

type Status = (typeof deviceCodeStatuses)[number]

const second = 1000
const lifetimeMs = 30 * 60 * second
const scope = 'openid offline_access'

let replicas: readonly [TestApp, TestApp]
let clientId: string
let strangerId: string
let admin: Browser
beforeAll(async () => {
  // Only the model moves the clock, so that what is early is not a matter of luck.
  vi.useFakeTimers({ toFake: ['Date'] })
  // The database's clock goes on.
  keepDatabaseTime(performance.timeOrigin, 0)
  const first = await startTestApp()
  replicas = [first, await startTestApp({ replicaOf: first })]
  clientId = (await addDeviceClient(first.database.db)).client.clientId
  strangerId = (await addDeviceClient(first.database.db)).client.clientId
  admin = openBrowser(first)
  await admin.signIn((await addAdmin(first.database.db)).username, { remember_me: '1' })
})
afterAll(async () => {
  await replicas[1].close()
  await replicas[0].close()
  vi.useRealTimers()
})

interface ModelCode {
  readonly id: string
  readonly deviceCode: string
  readonly userCode: string
  readonly expiresAt: number
  status: Status
  userId: string | null
  intervalSeconds: number
  polledAt: number | undefined
}

interface ModelUser {
  readonly user: User
  readonly browser: Browser
  active: boolean
  signedIn: boolean
  consented: boolean
}

interface World {
  readonly users: readonly ModelUser[]
  readonly codes: ModelCode[]
  /** What the counters of both replicas must have gained together. */
  readonly counted: Map<string, number>
  /** Ends that a crash has kept from the counters. */
  readonly lost: Map<Status, number>
  readonly before: readonly Samples[]
}

/** `code` counts from the newest back. */
const pick = { code: fc.nat(2), user: fc.nat(1), replica: fc.nat(1) }
const crash = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom('before commit' as const, 'after commit' as const) },
)
const action = fc.oneof(
  { weight: 2, arbitrary: fc.record({ ...pick, do: fc.constant('ask' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      ...pick,
      do: fc.constant('poll' as const),
      times: fc.integer({ min: 1, max: 3 }),
      stranger: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      crash,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      ...pick,
      do: fc.constant('answer' as const),
      answer: fc.constantFrom('approve' as const, 'approve' as const, 'deny' as const),
      tabs: fc.integer({ min: 1, max: 2 }),
      /** Between seeing the question and answering it. */
      hesitation: fc.constantFrom(0, 0, 0, 20, 900),
      crash,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      ...pick,
      do: fc.constant('wait' as const),
      seconds: fc.oneof(
        { weight: 3, arbitrary: fc.integer({ min: 1, max: 20 }) },
        { weight: 2, arbitrary: fc.integer({ min: 600, max: 1900 }) },
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ ...pick, do: fc.constant('sweep' as const), crash }) },
  { weight: 1, arbitrary: fc.record({ ...pick, do: fc.constant('disable' as const) }) },
  { weight: 2, arbitrary: fc.record({ ...pick, do: fc.constant('enable' as const) }) },
  { weight: 1, arbitrary: fc.record({ ...pick, do: fc.constant('revoke consent' as const) }) },
)
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never
type Of<D extends Action['do']> = Extract<Action, { do: D }>

const newest = { code: 0, user: 0, replica: 0 }
const polls = (times: number, died?: Of<'poll'>['crash']): Action => ({
  ...newest,
  do: 'poll',
  times,
  stranger: false,
  crash: died,
})
const answers = (
  answer: 'approve' | 'deny',
  more: Partial<Pick<Of<'answer'>, 'crash' | 'user' | 'hesitation'>> = {},
): Action => ({
  ...newest,
  do: 'answer',
  answer,
  tabs: 2,
  hesitation: 0,
  crash: undefined,
  ...more,
})
const asks: Action = { ...newest, do: 'ask' }
const waits = (seconds: number): Action => ({ ...newest, do: 'wait', seconds })
const sweeps = (died?: Of<'sweep'>['crash']): Action => ({ ...newest, do: 'sweep', crash: died })

/** One history in which everything happens that can happen. */
const everything: Action[] = [
  ...[polls(3), waits(6), polls(2), answers('approve'), polls(3), polls(1)],
  ...[asks, answers('deny'), polls(1)],
  ...[
    asks,
    answers('approve', { user: 1 }),
    { ...newest, user: 1, do: 'disable' as const },
    polls(2),
  ],
  ...[asks, answers('approve'), { ...newest, do: 'revoke consent' as const }, polls(1)],
  ...[asks, waits(1000), answers('approve', { hesitation: 900 }), polls(2), sweeps(), polls(1)],
  ...[
    asks,
    answers('approve', { crash: 'before commit' }),
    answers('approve', { crash: 'after commit' }),
  ],
  ...[polls(1, 'before commit'), polls(1, 'after commit'), polls(1)],
  ...[asks, waits(1900), sweeps('before commit'), sweeps('after commit'), sweeps(), polls(1)],
]

it('keeps rows, answers, counters and gauges equal to a plain model in any history', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 10, maxLength: 40, size: 'max' }),
      async (history) => {
        const world = await createWorld()
        await ask(world, replicas[0])
        for (const step of history) {
          await take(world, step)
          await check(world)
        }
      },
    ),
    { numRuns: 12, endOnFailure: true, examples: [[everything]] },
  )
  // Histories that never come to anything would prove nothing.
  for (const one of deviceCodeEnds)
    expect(reached).toContain(`authgate_device_codes_ended_total{result="${one}"}`)
  for (const one of devicePollResults)
    expect(reached).toContain(`oauth_device_code_validation_total{result="${one}"}`)
}, 300_000)

async function createWorld(): Promise<World> {
  // What earlier runs have left open expires first, so that the gauges are this run's own.
  advance(2 * lifetimeMs)
  await replicas[0].sweep()
  const users = await Promise.all(
    [0, 1].map(async () => ({
      user: await addUser(db()),
      browser: openBrowser(replicas[0]),
      active: true,
      signedIn: false,
      consented: false,
    })),
  )
  const before = await Promise.all(replicas.map((app) => app.samples()))
  return { users, codes: [], counted: new Map(), lost: new Map(), before }
}

const db = (): Database => replicas[0].database.db
const now = () => replicas[0].now().getTime()
const advance = (ms: number) => {
  for (const app of replicas) app.advance(ms)
}

async function take(world: World, step: Action): Promise<void> {
  switch (step.do) {
    case 'ask':
      return ask(world, replica(step))
    case 'wait':
      return advance(step.seconds * second)
    case 'poll':
      return pollCode(world, step)
    case 'answer':
      return answerCode(world, step)
    case 'sweep':
      return sweepCodes(world, step)
    default:
      return changeUser(world, step)
  }
}

const chosen = (world: World, step: Action): ModelCode => {
  const code = world.codes.at(-1 - (step.code % world.codes.length))
  if (!code) throw new Error('no device has asked for a code')
  return code
}

const replica = (step: Action) => replicas[step.replica === 0 ? 0 : 1]

const reached = new Set<string>()

function count(world: World, series: string, n = 1) {
  if (n === 0) return
  reached.add(series)
  world.counted.set(series, (world.counted.get(series) ?? 0) + n)
}

function end(
  world: World,
  status: 'redeemed' | 'denied' | 'expired',
  { lost = false, n = 1 } = {},
) {
  if (lost) world.lost.set(status, (world.lost.get(status) ?? 0) + n)
  else count(world, `authgate_device_codes_ended_total{result="${status}"}`, n)
}

async function ask(world: World, app: TestApp) {
  const response = await app.request('/oauth/device/code', {
    method: 'POST',
    body: new URLSearchParams({ client_id: clientId, scope }),
  })
  const { device_code, user_code } = (await response.json()) as Record<string, string>
  const rows = await db().select().from(deviceCodes).where(eq(deviceCodes.createdAt, app.now()))
  const known = new Set(world.codes.map(({ id }) => id))
  const row = rows.find(({ id }) => !known.has(id))
  count(world, 'oauth_device_codes_total{result="success"}')
  world.codes.push({
    id: row?.id ?? '',
    deviceCode: device_code ?? '',
    userCode: user_code ?? '',
    expiresAt: now() + lifetimeMs,
    status: 'pending',
    userId: null,
    intervalSeconds: 5,
    polledAt: undefined,
  })
}

const isOver = ({ expiresAt }: ModelCode) => expiresAt <= now()
const isPending = (code: ModelCode) => code.status === 'pending' && !isOver(code)

/** What one request of a device is told, and what it changes. */
function modelPoll(code: ModelCode): string {
  if (isPending(code)) {
    const early = (code.polledAt ?? -1e12) + (code.intervalSeconds - 1) * second > now()
    if (early) code.intervalSeconds += 5
    code.polledAt = now()
    return early ? 'slow_down' : 'pending'
  }
  if (code.status === 'redeemed') return 'invalid'
  if (code.status === 'denied') return 'denied'
  if (code.status === 'expired' || isOver(code)) return 'expired'
  code.status = 'redeemed'
  return 'success'
}

const errors: Readonly<Record<string, string>> = {
  authorization_pending: 'pending',
  slow_down: 'slow_down',
  expired_token: 'expired',
  access_denied: 'denied',
  invalid_grant: 'invalid',
}

async function pollCode(world: World, step: Of<'poll'>) {
  const code = chosen(world, step)
  if (code.polledAt !== undefined) await agePoll(db(), code.deviceCode, now() - code.polledAt)
  const presented = { deviceCode: code.deviceCode, now: new Date(now()) }
  if (step.crash === 'before commit') {
    await rolledBack((tx) => poll(tx, presented.deviceCode, clientId, { now: presented.now }))
    return
  }
  if (step.crash === 'after commit') {
    const { result } = await poll(db(), presented.deviceCode, clientId, { now: presented.now })
    expect(result).toBe(modelPoll(code))
    if (result === 'success') end(world, 'redeemed', { lost: true })
    return
  }
  const requests = Array.from({ length: step.times }, (_, n) =>
    postToken(replicas[(step.replica + n) % 2 === 0 ? 0 : 1], {
      grant_type: deviceCodeGrantType,
      client_id: step.stranger ? strangerId : clientId,
      device_code: code.deviceCode,
    }),
  )
  const answers = await Promise.all(
    requests.map(async (request) => {
      const { error } = (await (await request).json()) as { error?: string }
      return error === undefined ? 'success' : errors[error]
    }),
  )
  const expected = requests.map(() => (step.stranger ? 'invalid' : modelPoll(code)))
  expect(answers.sort()).toEqual(expected.sort())
  for (const result of expected)
    count(world, `oauth_device_code_validation_total{result="${result}"}`)
  end(world, 'redeemed', { n: expected.filter((result) => result === 'success').length })
}

/** A process that dies in the middle of a transaction. */
async function rolledBack(work: (tx: Database) => Promise<unknown>) {
  const death = db().transaction(async (tx) => {
    await work(tx)
    throw new Error('crash')
  })
  await expect(death).rejects.toThrow('crash')
}

async function answerCode(world: World, step: Of<'answer'>) {
  const code = chosen(world, step)
  const person = world.users[step.user]
  if (!person) return
  if (step.crash && person.active) return crashWhileApproving({ code, person, step })
  if (person.active && !person.signedIn) {
    await person.browser.signIn(person.user.username, { remember_me: '1' })
    person.signedIn = true
  }
  const pages = await Promise.all(
    Array.from({ length: step.tabs }, () => openPage(world, code, person)),
  )
  advance(step.hesitation * second)
  let { answer } = step
  for (const page of pages) {
    if (page) await answerPage(world, { code, person, page, answer })
    answer = answer === 'approve' ? 'deny' : 'approve'
  }
}

/** Types the code: the page that asks, if the code works. */
async function openPage(world: World, code: ModelCode, { browser, signedIn }: ModelUser) {
  const { userCode } = code
  const shown = await browser.submit('/device', '/device/verify', { user_code: userCode })
  const expected = isPending(code) ? 200 : 400
  expect(shown.status).toBe(signedIn ? expected : 303)
  if (!signedIn) return undefined
  count(
    world,
    `authgate_device_codes_entered_total{result="${expected === 200 ? 'found' : 'refused'}"}`,
  )
  return expected === 200 ? await shown.text() : undefined
}

async function answerPage(
  world: World,
  {
    code,
    person,
    page,
    answer,
  }: { code: ModelCode; person: ModelUser; page: string; answer: 'approve' | 'deny' },
) {
  const answered = await person.browser.post('/device/decide', {
    csrf_token: csrfTokenOf(page),
    request: hiddenField(page, 'request'),
    action: answer,
  })
  expect(answered.status).toBe(isPending(code) ? 200 : 409)
  if (!isPending(code)) return
  if (answer === 'deny') {
    code.status = 'denied'
    return end(world, 'denied')
  }
  count(world, 'oauth_device_codes_authorized_total')
  count(world, 'oauth_device_code_authorization_duration_seconds_count')
  if (!person.consented) count(world, 'oauth_consent_granted_total{flow="device_code"}')
  approved(code, person)
}

function approved(code: ModelCode, person: ModelUser) {
  code.status = 'approved'
  code.userId = person.user.id
  person.consented = true
}

/** Nothing counts the approval that was committed. */
async function crashWhileApproving({
  code,
  person,
  step,
}: {
  code: ModelCode
  person: ModelUser
  step: Of<'answer'>
}) {
  const { user } = person
  const sessionId = await addSession(db(), user, { now: new Date(now()) })
  const answer = { id: code.id, user, sessionId, now: new Date(now()) }
  if (step.crash === 'before commit') return rolledBack((tx) => approve(tx, answer))
  expect((await approve(db(), answer)) !== undefined).toBe(isPending(code))
  if (isPending(code)) approved(code, person)
}

async function sweepCodes(world: World, step: Of<'sweep'>) {
  const overdue = world.codes.filter(
    (code) => ['pending', 'approved'].includes(code.status) && isOver(code),
  )
  const at = new Date(now())
  if (step.crash === 'before commit') return rolledBack((tx) => expireDeviceCodes(tx, at, 500))
  if (step.crash === 'after commit') {
    expect(await expireDeviceCodes(db(), at, 500)).toBe(overdue.length)
    end(world, 'expired', { lost: true, n: overdue.length })
  } else {
    await Promise.all(replicas.map((app) => app.sweep()))
    end(world, 'expired', { n: overdue.length })
  }
  for (const code of overdue) code.status = 'expired'
}

async function changeUser(world: World, step: Of<'disable' | 'enable' | 'revoke consent'>) {
  const person = world.users[step.user]
  if (!person) return
  const { user, browser } = person
  if (step.do === 'revoke consent') {
    if (!person.signedIn || !person.consented) return
    const rows = await db().select().from(consents).where(eq(consents.userId, user.id))
    const id = rows.find(({ revokedAt }) => revokedAt === null)?.id
    await browser.submit('/account/authorizations', `/account/authorizations/${id}/revoke`)
    person.consented = false
    return discard(world, person)
  }
  const active = step.do === 'enable'
  if (person.active === active) return
  await admin.submit('/admin/users', `/admin/users/${user.id}/${step.do}`)
  person.active = active
  if (active) return
  person.signedIn = false
  discard(world, person)
}

/** Approvals that were not redeemed end with the access they stand for; those that are overdue have ended by themselves. */
function discard(world: World, { user }: ModelUser) {
  for (const code of world.codes) {
    if (code.status !== 'approved' || code.userId !== user.id || isOver(code)) continue
    code.status = 'denied'
    end(world, 'denied')
  }
}

const ours =
  /^(oauth_device_codes(_authorized)?_total|oauth_device_code_validation_total|oauth_device_code_authorization_duration_seconds_count|authgate_device_codes_|oauth_consent_granted_total\{flow="device_code"\})/

async function check(world: World) {
  const rows =
    world.codes.length === 0
      ? []
      : await db()
          .select()
          .from(deviceCodes)
          .where(
            inArray(
              deviceCodes.id,
              world.codes.map(({ id }) => id),
            ),
          )
  const seen = rows.map(({ id, status, userId, intervalSeconds, lastPolledAt }) => [
    id,
    { status, userId, intervalSeconds, polled: lastPolledAt !== null },
  ])
  const expected = world.codes.map(({ id, status, userId, intervalSeconds, polledAt }) => [
    id,
    { status, userId, intervalSeconds, polled: polledAt !== undefined },
  ])
  expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(expected))

  const samples = await Promise.all(replicas.map((app) => app.samples()))
  const moved = new Map<string, number>()
  samples.forEach((after, n) => {
    for (const [series, change] of Object.entries(
      movedBetween(world.before[n] ?? new Map(), after, ours),
    ))
      moved.set(series, (moved.get(series) ?? 0) + change)
  })
  expect(Object.fromEntries(moved)).toEqual(Object.fromEntries(world.counted))

  const open = world.codes.filter((code) => !isOver(code))
  const pending = open.filter(({ status }) => status === 'pending').length
  const approvedCodes = open.filter(({ status }) => status === 'approved').length
  for (const after of samples) {
    expect(after.get('oauth_device_codes_pending_authorization')).toBe(pending)
    expect(after.get('oauth_device_codes_active')).toBe(pending + approvedCodes)
  }
  // Every code that ended was counted once, or a crash has kept it from being counted.
  for (const status of ['redeemed', 'denied', 'expired'] as const) {
    const counted = world.counted.get(`authgate_device_codes_ended_total{result="${status}"}`) ?? 0
    expect(counted + (world.lost.get(status) ?? 0)).toBe(
      rows.filter((row) => row.status === status).length,
    )
  }
}

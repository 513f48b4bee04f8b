/** Random histories of refresh families against a plain model: retries, thefts, lost answers, two processes, clocks apart. */
import { inArray } from 'drizzle-orm'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { grantConsent, listConsents } from '#/domain/consents/consents.ts'
import type { PresentedRefreshToken, Refreshed } from '#/domain/tokens/refresh-tokens.ts'
import { type RevokedTokens, revokeFamily } from '#/domain/tokens/revoke-tokens.ts'
import { insertTokens } from '#/domain/tokens/tokens.ts'
import { enableUser } from '#/domain/users/enable-user.ts'
import type { User } from '#/domain/users/users.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import type { StoredTokenType, TokenRevocationReason } from '#/protocol/vocabulary.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { ageFamily } from '../support/database-time.ts'
import { graceMs, refreshFor } from '../support/grants.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'

let database: TestDatabase
let admin: User
beforeAll(async () => {
  database = await openTestDatabase()
  admin = await addAdmin(database.db)
})
afterAll(() => database.close())

const second = 1000
const hour = 3600 * second
const lifetimes = { accessMs: hour, refreshMs: 48 * hour, familyMs: 120 * hour }
const scope = 'openid profile offline_access'

/** The secret of the other process is newer or older; both know both. */
const processes = [
  { secrets: ['a'.repeat(32), 'b'.repeat(32)], skewMs: 0 },
  { secrets: ['b'.repeat(32), 'a'.repeat(32)], skewMs: -2 * second },
] as const

interface Row {
  readonly type: StoredTokenType
  readonly expiresAt: number
  ended: { readonly at: number; readonly reason: TokenRevocationReason } | undefined
}

interface Family {
  readonly id: string
  readonly client: 0 | 1
  readonly expiresAt: number
  /** Each the successor of the one before; its text is unknown while the answer with it is lost. */
  readonly chain: (Row & { text: string | undefined })[]
  /** When the latest was handed out first, by the database's clock, from which those of the processes differ. */
  rotatedAt: number
  readonly access: Row[]
}

interface World {
  now: number
  readonly user: User
  active: boolean
  /** Whether the clients authenticate themselves. */
  readonly authenticates: boolean
  /** One rotates, the other keeps its refresh tokens. */
  readonly clients: { readonly id: string; readonly rotate: boolean; active: boolean }[]
  readonly consented: boolean[]
  readonly families: Family[]
  /** What the processes have counted, as the token endpoint does. */
  readonly counted: Map<string, number>
  /** What a crash after the commit has kept from being counted. */
  readonly lost: Map<string, number>
}

const which = fc.nat(1).map((n) => n as 0 | 1)
const action = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('start' as const), client: which }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('refresh' as const),
      family: fc.nat(9),
      /** How many tokens before the latest. */
      back: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.nat(3) }),
      process: which,
      scope: fc.constantFrom('all', 'all', 'all', 'narrow', 'wider'),
      crash: fc.nat(5).map((n) => n === 0),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(second, 9 * second, 11 * second, hour, 30 * hour),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), family: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('disable' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('enable' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deactivate' as const), client: which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('activate' as const), client: which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw' as const), client: which }) },
)
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never
type Refresh = Extract<Action, { do: 'refresh' }>

const count = (into: Map<string, number>, what: string, n = 1) => {
  if (n > 0) into.set(what, (into.get(what) ?? 0) + n)
}

const rowsOf = ({ chain, access }: Family): Row[] => [...chain, ...access]

const isLive = (row: Row, now: number) => !row.ended && row.expiresAt > now

/** Ends live rows in the model; answers how many of each type. */
function endAll(rows: readonly Row[], now: number, reason: TokenRevocationReason): RevokedTokens {
  const live = rows.filter((row) => isLive(row, now))
  for (const row of live) row.ended = { at: now, reason }
  const access = live.filter(({ type }) => type === 'access').length
  return { reason, access, refresh: live.length - access }
}

function countEnded(into: Map<string, number>, { reason, access, refresh }: RevokedTokens) {
  count(into, `revoked ${reason} access`, access)
  count(into, `revoked ${reason} refresh`, refresh)
}

const isEntitled = (world: World, { client }: Family) =>
  world.active && world.clients[client]?.active === true && world.consented[client] === true

const mayTryAgain = ({ authenticates, now }: World, { rotatedAt }: Family) =>
  authenticates || now - rotatedAt < graceMs

/** What must come of a refresh, and what it changes. */
function expectRefresh(world: World, family: Family, step: Refresh) {
  const { now, rotate, index } = circumstances(world, family, step)
  const token = family.chain[index]
  const next = family.chain[index + 1]
  if (!token) throw new Error('the model has no such token')
  const issue = () => {
    if (step.scope === 'wider') return 'scope' as const
    const expiresAt = now + lifetimes.accessMs
    family.access.push({ type: 'access', expiresAt, ended: undefined })
    return undefined
  }
  if (isLive(token, now)) {
    const refusal = issue()
    if (refusal) return { result: refusal }
    if (!rotate) return { result: 'success' as const, rotated: false, successor: index }
    token.ended = { at: now, reason: 'rotation' }
    const expiresAt = Math.min(now + lifetimes.refreshMs, family.expiresAt)
    family.chain.push({ type: 'refresh', expiresAt, ended: undefined, text: undefined })
    family.rotatedAt = world.now
    return { result: 'success' as const, rotated: true, successor: index + 1 }
  }
  if (!token.ended) return { result: 'expired' as const }
  if (token.ended.reason !== 'rotation' || !isEntitled(world, family))
    return { result: 'revoked' as const }
  if (mayTryAgain(world, family) && next && isLive(next, now)) {
    const refusal = issue()
    return refusal
      ? { result: refusal }
      : { result: 'grace' as const, rotated: false, successor: index + 1 }
  }
  const ended = family.chain.at(-1)?.ended?.reason ?? 'reuse'
  if (ended !== 'reuse') return { result: 'revoked' as const }
  return { result: 'reuse' as const, revoked: endAll(rowsOf(family), now, 'reuse') }
}

function circumstances(world: World, family: Family, { back, process }: Refresh) {
  const known = family.chain.flatMap(({ text }, n) => (text === undefined ? [] : [n]))
  return {
    index: known[Math.max(known.length - 1 - back, 0)] ?? 0,
    now: world.now + processes[process].skewMs,
    rotate: world.clients[family.client]?.rotate === true,
  }
}

async function refresh(world: World, step: Refresh) {
  const family = world.families[step.family % Math.max(world.families.length, 1)]
  if (!family) return
  const { index, now, rotate } = circumstances(world, family, step)
  const token = family.chain[index]?.text ?? ''
  await ageFamily(database.db, family.id, world.now - family.rotatedAt)
  const actual = await attempt(token, world.clients[family.client]?.id ?? '', {
    scope: asked[step.scope as keyof typeof asked],
    rotate,
    authenticated: world.authenticates,
    lifetimes,
    secrets: processes[step.process].secrets,
    now: new Date(now),
  })
  const expected = expectRefresh(world, family, step)
  expect(actual.result).toBe(expected.result)
  const counts = step.crash ? world.lost : world.counted
  count(counts, `refreshed ${actual.result}`)
  if (actual.result === 'reuse' && 'revoked' in expected) {
    expect(actual.revoked).toEqual(expected.revoked)
    countEnded(counts, actual.revoked)
  }
  if (!('refreshToken' in actual && 'successor' in expected)) return
  const successor = family.chain[expected.successor ?? -1]
  // Whatever was lost on the way: the successor stays the same.
  if (successor?.text !== undefined) expect(actual.refreshToken).toBe(successor.text)
  if (successor && !step.crash) successor.text = actual.refreshToken
  expect(actual.rotated).toBe(expected.rotated)
  expect(actual.access.scope).toBe(step.scope === 'narrow' ? 'openid' : scope)
  countIssued(counts, actual)
}

function countIssued(counts: Map<string, number>, { rotated }: { readonly rotated: boolean }) {
  count(counts, 'issued access')
  count(counts, 'issued refresh', rotated ? 1 : 0)
  count(counts, 'revoked rotation refresh', rotated ? 1 : 0)
}

const asked = { all: undefined, narrow: ['openid'], wider: ['openid', 'admin'] }

async function attempt(
  ...presented: [token: string, clientId: string, more: Partial<PresentedRefreshToken>]
): Promise<Refreshed | { readonly result: 'scope' }> {
  try {
    return await refreshFor(database.db, ...presented)
  } catch (error) {
    if (error instanceof OAuthError && error.code === 'invalid_scope') return { result: 'scope' }
    throw error
  }
}

async function start(world: World, client: 0 | 1) {
  const { id: clientId = '', active = false } = world.clients[client] ?? {}
  if (!world.active || !active) return
  const { db } = database
  const now = new Date(world.now)
  await grantConsent(db, { user: world.user, clientId, scope, now }, systemOrigin)
  world.consented[client] = true
  const text = randomSecret()
  const familyId = crypto.randomUUID()
  await insertTokens(db, {
    grant: {
      familyId,
      clientId,
      userId: world.user.id,
      sessionId: null,
      authTime: null,
      resources: [],
      details: {},
    },
    scope,
    dpopJkt: null,
    refresh: { token: text, scope, familyExpiresAt: undefined, dpopJkt: null },
    lifetimes,
    now,
  })
  const expiresAt = world.now + lifetimes.familyMs
  const refreshRow = { expiresAt: world.now + lifetimes.refreshMs, ended: undefined }
  world.families.push({
    id: familyId,
    client,
    expiresAt,
    chain: [{ type: 'refresh', ...refreshRow, text }],
    rotatedAt: world.now,
    access: [{ type: 'access', expiresAt: world.now + lifetimes.accessMs, ended: undefined }],
  })
}

const ownedBy = (world: World, client?: number) =>
  world.families
    .filter((family) => client === undefined || family.client === client)
    .flatMap(rowsOf)

function ended(world: World, actual: RevokedTokens | undefined, expected: RevokedTokens) {
  expect(actual).toEqual(expected)
  countEnded(world.counted, expected)
}

async function play(world: World, step: Action): Promise<void> {
  const { db } = database
  const now = new Date(world.now)
  const by = { actor: admin, origin: systemOrigin, now }
  switch (step.do) {
    case 'start':
      return start(world, step.client)
    case 'refresh':
      return refresh(world, step)
    case 'wait':
      world.now += step.ms
      return
    case 'revoke': {
      const family = world.families[step.family % Math.max(world.families.length, 1)]
      if (!family) return
      const end = { reason: 'client_request', now } as const
      const of = { familyId: family.id, userId: world.user.id }
      const actual = await db.transaction((tx) => revokeFamily(tx, of, end))
      return ended(world, actual, endAll(rowsOf(family), world.now, 'client_request'))
    }
    case 'disable': {
      const actual = await disableUser(db, world.user.id, by)
      if (actual.result !== 'success') return expect(world.active).toBe(false)
      world.active = false
      return ended(world, actual.tokens, endAll(ownedBy(world), world.now, 'account_inactive'))
    }
    case 'enable':
      await enableUser(db, world.user.id, by)
      world.active = true
      return
    default:
      return changeClient(world, step)
  }
}

async function changeClient(
  world: World,
  step: Extract<Action, { do: 'deactivate' | 'activate' | 'withdraw' }>,
): Promise<void> {
  const { db } = database
  const now = new Date(world.now)
  const client = world.clients[step.client]
  if (!client) return
  const rows = ownedBy(world, step.client)
  if (step.do === 'withdraw') {
    const consents = await listConsents(db, world.user.id)
    for (const { id } of consents) {
      const withdrawn = await revokeConsent(db, { id, user: world.user, now }, systemOrigin)
      const at = world.clients.findIndex((one) => one.id === withdrawn?.clientId)
      world.consented[at] = false
      const expected = endAll(ownedBy(world, at), world.now, 'consent_revoked')
      ended(world, withdrawn?.tokens, expected)
    }
    return
  }
  const status = step.do === 'activate' ? 'active' : 'inactive'
  const by = { origin: systemOrigin, now }
  const changed = await setClientStatus(db, { clientId: client.id, status }, by)
  expect(changed === undefined).toBe(client.active === (status === 'active'))
  client.active = status === 'active'
  if (changed && !client.active)
    ended(world, changed.ended.tokens, endAll(rows, world.now, 'client_inactive'))
}

/** Rows and model say the same, and every end but the lost ones was counted, once. */
async function compare(world: World) {
  const ids = world.families.map(({ id }) => id)
  const rows = await database.db
    .select()
    .from(tokens)
    .where(inArray(tokens.familyId, ids.length > 0 ? ids : [crypto.randomUUID()]))
  const tally = (all: readonly string[]) => [...all].sort()
  expect(
    tally(rows.map((row) => `${row.type} ${row.revocationReason} ${row.expiresAt.getTime()}`)),
  ).toEqual(
    tally(
      world.families
        .flatMap(rowsOf)
        .map(({ type, ended: end, expiresAt }) => `${type} ${end?.reason ?? null} ${expiresAt}`),
    ),
  )
  const counted = new Map(world.lost)
  for (const [what, n] of world.counted) count(counted, what, n)
  const ends = new Map<string, number>()
  for (const { revocationReason, type } of rows)
    if (revocationReason) count(ends, `revoked ${revocationReason} ${type}`)
  for (const [what, n] of counted)
    if (what.startsWith('revoked ')) expect([what, ends.get(what)]).toEqual([what, n])
  for (const what of ends.keys()) expect(counted.has(what)).toBe(true)
  // Each family began with one of each, which the code grant has counted.
  for (const type of ['access', 'refresh'] as const) {
    const stored = rows.filter((row) => row.type === type).length
    expect(stored - ids.length).toBe(counted.get(`issued ${type}`) ?? 0)
  }
  // No rotation reaches beyond the end of its family.
  for (const family of world.families)
    for (const { expiresAt } of family.chain)
      expect(expiresAt).toBeLessThanOrEqual(family.expiresAt)
}

it('keeps rows, answers and counters equal to a plain model in any history', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(action, { minLength: 10, maxLength: 40 }),
      async (authenticates, steps) => {
        const { db } = database
        const [rotating, fixed] = [await addClient(db), await addClient(db)]
        const world: World = {
          now: Date.now(),
          user: await addUser(db),
          active: true,
          authenticates,
          clients: [
            { id: rotating.client.clientId, rotate: true, active: true },
            { id: fixed.client.clientId, rotate: false, active: true },
          ],
          consented: [false, false],
          families: [],
          counted: new Map(),
          lost: new Map(),
        }
        await start(world, 0)
        for (const step of steps) await play(world, step)
        await compare(world)
      },
    ),
    { numRuns: 100, endOnFailure: false },
  )
}, 300_000)

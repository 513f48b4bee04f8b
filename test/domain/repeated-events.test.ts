/** Events that anybody can bring about at will: what the audit log keeps of them. */
import { asc, sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { withDeadline } from '#/database/deadline.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { createRepeatedEvents, type RepeatedEvent } from '#/domain/audit/repeated-events.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())
beforeEach(async () => {
  await database.db.delete(auditEvents)
})

const start = new Date()
const origin = { enabled: true, ip: '192.0.2.1', userAgent: 'curl', traceId: 'f'.repeat(32) }
const refusal = (more: Partial<RepeatedEvent> = {}): RepeatedEvent => ({
  type: 'ACCESS_DENIED',
  at: start,
  success: false,
  ...more,
})
const user = (n: number) => ({ id: `user-${n}`, username: `name-${n}` })

function startEvents(most = { users: 50, strangers: 20 }) {
  const dropped: number[] = []
  const events = createRepeatedEvents(database.db, {
    onDropped: (count) => dropped.push(count),
    most,
  })
  return { ...events, dropped }
}

const rows = () => database.db.select().from(auditEvents).orderBy(asc(auditEvents.id))
const counts = async () => (await rows()).map(({ details }) => details['count'] ?? 1)

it('keeps a flood as one row with the exact count, written at once and then brought up to date', async () => {
  const { note, flush, close, dropped } = startEvents()
  expect(note(origin, refusal({ actor: user(1) }), 'net')).toBe(true)
  await flush()
  expect(await rows()).toMatchObject([
    { actorUserId: 'user-1', ip: '192.0.2.1', userAgent: 'curl', success: false, details: {} },
  ])
  for (let n = 0; n < 999; n += 1)
    expect(note(origin, refusal({ actor: user(1) }), 'net')).toBe(false)
  await flush()
  expect(await counts()).toEqual([1000])
  for (let n = 0; n < 5; n += 1) note(origin, refusal({ actor: user(1) }), 'net')
  await close(5000)
  expect([await counts(), dropped]).toEqual([[1005], []])
})

it('counts what arrives while the row is being written', async () => {
  const { note, flush } = startEvents()
  note(origin, refusal(), 'net')
  const written = flush()
  for (let n = 0; n < 7; n += 1) {
    note(origin, refusal(), 'net')
    await Promise.resolve()
  }
  await written
  await flush()
  expect(await counts()).toEqual([8])
})

it('brings a count up to date by itself within seconds', async () => {
  const { note, flush } = startEvents()
  note(origin, refusal(), 'net')
  await flush()
  note(origin, refusal(), 'net')
  await expect.poll(counts, { timeout: 10_000 }).toEqual([2])
})

it('keeps actors, clients, networks, kinds, reasons and minutes apart', async () => {
  const { note, flush } = startEvents()
  const different: [RepeatedEvent, string][] = [
    [refusal(), 'net-1'],
    [refusal(), 'net-2'],
    [refusal({ actor: user(1) }), 'net-1'],
    [refusal({ actor: user(2) }), 'net-1'],
    [refusal({ clientId: 'client' }), 'net-1'],
    [refusal({ type: 'FORM_REFUSED' }), 'net-1'],
    [refusal({ details: { reason: 'a' } }), 'net-1'],
    [refusal({ details: { reason: 'b' } }), 'net-1'],
    [refusal({ at: new Date(start.getTime() + 60_000) }), 'net-1'],
  ]
  for (const [event, network] of [...different.slice(0, -1), ...different])
    note(origin, event, network)
  await flush()
  expect(await counts()).toEqual([...Array(different.length - 1).fill(2), 1])
})

it('gives what no room is left for one row a kind, so that nobody fills memory or table, and counts it all', async () => {
  const { note, flush } = startEvents()
  for (let n = 0; n < 500; n += 1) note(origin, refusal(), `net-${n}`)
  for (let n = 0; n < 10; n += 1) note(origin, refusal({ actor: user(n) }), 'net')
  await flush()
  const all = await rows()
  expect(all).toHaveLength(20 + 1 + 10)
  const shared = all.filter(({ details }) => details['actors'] === 'many')
  expect(shared).toMatchObject([
    { actorUserId: null, ip: null, userAgent: null, details: { count: 480 } },
  ])
  // A minute later there is room again.
  note(origin, refusal({ at: new Date(start.getTime() + 60_000) }), 'net-500')
  await flush()
  expect((await rows()).at(-1)).toMatchObject({ ip: '192.0.2.1', details: {} })
})

it('is not bound to the time of the request that it tells of', async () => {
  const { note, flush } = startEvents()
  withDeadline({ at: 0 }, () => note(origin, refusal(), 'net'))
  await flush()
  expect(await counts()).toEqual([1])
})

it('writes nothing where audit logging is off, and still tells the first of many', async () => {
  const { note, flush, close, dropped } = startEvents()
  const off = { ...origin, enabled: false }
  expect([note(off, refusal(), 'net'), note(off, refusal(), 'net')]).toEqual([true, false])
  await flush()
  await close(1000)
  expect([await counts(), dropped]).toEqual([[], []])
})

describe('while the database takes no audit events', () => {
  const rename = (from: string, to: string) =>
    database.db.execute(sql.raw(`alter table ${from} rename to ${to}`))

  it('counts new ones as dropped, and writes the next', async () => {
    const { note, flush, dropped } = startEvents()
    await rename('audit_events', 'audit_events_away')
    note(origin, refusal(), 'net')
    note(origin, refusal(), 'net')
    await flush()
    await rename('audit_events_away', 'audit_events')
    expect(dropped).toEqual([2])
    note(origin, refusal(), 'net')
    await flush()
    expect([await counts(), dropped]).toEqual([[1], [2]])
  })

  it('keeps what it cannot add to a row, and adds it later', async () => {
    const { note, flush, dropped } = startEvents()
    note(origin, refusal(), 'net')
    await flush()
    await rename('audit_events', 'audit_events_away')
    note(origin, refusal(), 'net')
    await flush()
    await rename('audit_events_away', 'audit_events')
    note(origin, refusal(), 'net')
    await flush()
    expect([await counts(), dropped]).toEqual([[3], []])
  })

  it('counts as dropped what is left when the server stops', async () => {
    const { note, flush, close, dropped } = startEvents()
    note(origin, refusal(), 'net')
    await flush()
    await rename('audit_events', 'audit_events_away')
    for (let n = 0; n < 4; n += 1) note(origin, refusal(), 'net')
    await close(5000)
    await rename('audit_events_away', 'audit_events')
    expect([await counts(), dropped]).toEqual([[1], [4]])
  })
})

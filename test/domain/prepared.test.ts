/** Statements that are built once run with whatever values, on whatever handle. */
import { eq, type Placeholder, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '#/database/client.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { users } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/prepared.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

type Row = typeof auditEvents.$inferSelect
type Event = Pick<Row, 'at' | 'type' | 'actorUserId' | 'details'>

const insertEvent = prepared((db, { at, type, actorUserId, details }: Placeholders<Event>) =>
  db
    .insert(auditEvents)
    .values({ at, type, actorUserId, details, severity: 'info', success: true })
    .returning(),
)

const findEvents = prepared((db, { at }: Placeholders<{ at: Date }>) =>
  db
    .select({ event: auditEvents, actor: users })
    .from(auditEvents)
    .leftJoin(users, eq(users.username, auditEvents.actorUserId))
    .where(eq(auditEvents.at, at)),
)

it('takes times, nulls and JSON, and gives them back', async () => {
  const event = { at: new Date('2026-01-01T00:00:00.123Z'), type: 'A', details: { n: 1, t: '"' } }
  const [row] = await insertEvent(database.db, { ...event, actorUserId: null })
  expect(row).toMatchObject({ ...event, actorUserId: null })
  expect(await findEvents(database.db, event)).toEqual([{ event: row, actor: null }])
})

it('reads rows as Drizzle does: joined, aliased, computed', async () => {
  const at = new Date('2026-01-03T00:00:00Z')
  const [user] = await database.db
    .insert(users)
    .values({ username: 'someone', email: 'someone@example.test' })
    .returning()
  await insertEvent(database.db, { at, type: 'D', actorUserId: 'someone', details: {} })
  await insertEvent(database.db, { at, type: 'E', actorUserId: null, details: {} })
  const select = (db: Database, when: Date | Placeholder) =>
    db
      .select({
        type: auditEvents.type,
        length: sql`length(${auditEvents.type})`.mapWith(Number),
        again: sql<string>`${auditEvents.type}`.as('again'),
        actor: users,
        found: { since: users.createdAt },
      })
      .from(auditEvents)
      .leftJoin(users, eq(users.username, auditEvents.actorUserId))
      .where(eq(auditEvents.at, when))
      .orderBy(auditEvents.type)
  const once = prepared((db, slots: Placeholders<{ at: Date }>) => select(db, slots.at))
  const rows = await once(database.db, { at })
  expect(rows).toEqual(await select(database.db, at))
  expect(rows).toMatchObject([
    { type: 'D', length: 1, again: 'D', actor: user, found: { since: user?.createdAt } },
    { type: 'E', actor: null, found: null },
  ])
})

it('runs inside the transaction whose handle it is given', async () => {
  const event = { at: new Date('2026-01-02T00:00:00Z'), type: 'B', actorUserId: 'b', details: {} }
  const gone = database.db.transaction(async (tx) => {
    await insertEvent(tx, event)
    expect(await findEvents(tx, event)).toHaveLength(1)
    throw new Error('rolled back')
  })
  await expect(gone).rejects.toThrow('rolled back')
  expect(await findEvents(database.db, event)).toEqual([])
})

it('tells which statement failed, as any other', async () => {
  const event = { at: new Date(), type: 'C', actorUserId: null, details: {} }
  const broken = { ...event, type: null as unknown as string }
  await expect(insertEvent(database.db, broken)).rejects.toThrow(/insert into "audit_events"/)
})

it('has no slots to spread, which would be none', async () => {
  const spread = prepared((db, slots: Placeholders<{ at: Date }>) =>
    db
      .select()
      .from(auditEvents)
      .where(eq(auditEvents.at, { ...slots }.at)),
  )
  expect(() => spread(database.db, { at: new Date() })).toThrow('one by one')
})

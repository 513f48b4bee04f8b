/** Ends of people and of clients that meet: nobody waits for ever, nothing fails, each row is counted once. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { logoutDeliveries } from '#/database/schema/logout-deliveries.ts'
import { sessionClients } from '#/database/schema/session-clients.ts'
import {
  deleteApp,
  deleteClientBy,
  revokeAllOfClient,
} from '#/domain/access-revocation/end-clients.ts'
import { endSessionsOfUser } from '#/domain/access-revocation/end-sessions.ts'
import { deleteUser, disableUser } from '#/domain/access-revocation/end-users.ts'
import { endWithAudit } from '#/domain/access-revocation/end-with-audit.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import { rowsOf } from '../endpoints/refusals.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { addFamily, addSession } from '../support/grants.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { rounds } from '../support/rounds.ts'

let database: TestDatabase
let admin: Awaited<ReturnType<typeof addAdmin>>
beforeAll(async () => {
  database = await openTestDatabase()
  admin = await addAdmin(database.db)
})
afterAll(() => database.close())

const races = rounds(25)
const byAdmin = () => ({ actor: admin, origin: systemOrigin, now: new Date() })
const listener = { backchannelLogoutUri: 'https://app.example.test/logout' }

it.each([
  ['deleted by an operator', deleteClientBy],
  ['cut off', revokeAllOfClient],
  ['deleted by themselves', undefined],
] as const)(
  'people are deleted while an app of theirs is %s',
  async (_, end) => {
    const { db } = database
    for (let round = 0; round < races; round += 1) {
      const user = await addUser(db)
      const { clientId } = (await addClient(db, { ownerId: user.id })).client
      for (let n = 0; n < 3; n += 1) await addFamily(db, user, clientId)
      const [deleted, ended] = await Promise.all([
        deleteUser(db, user.id, byAdmin()),
        end
          ? end(db, clientId, byAdmin())
          : deleteApp(db, { clientId, ownerId: user.id }, byAdmin()),
      ])
      if (deleted.result !== 'success') throw new Error(deleted.result)
      expect({
        access: deleted.tokens.access + (ended?.tokens.access ?? 0),
        refresh: deleted.tokens.refresh + (ended?.tokens.refresh ?? 0),
        consents: deleted.consents + (ended?.consents ?? 0),
      }).toEqual({ access: 3, refresh: 3, consents: 1 })
    }
  },
  120_000,
)

it('people are deleted while a client is, to which all that they gave ended before', async () => {
  const { db } = database
  for (let round = 0; round < races; round += 1) {
    const user = await addUser(db)
    const { clientId } = (await addClient(db)).client
    for (let n = 0; n < 3; n += 1) await addFamily(db, user, clientId)
    const [consent] = await listConsents(db, user.id)
    await revokeConsent(db, { id: consent?.id ?? '', user, now: new Date() }, systemOrigin)
    const [deleted] = await Promise.all([
      deleteUser(db, user.id, byAdmin()),
      deleteClientBy(db, clientId, byAdmin()),
    ])
    expect(deleted).toMatchObject({ tokens: { access: 0, refresh: 0 }, consents: 0 })
  }
}, 120_000)

it('people are disabled while a client is deleted that was to hear of it', async () => {
  const { db } = database
  for (let round = 0; round < races; round += 1) {
    const user = await addUser(db)
    const { clientId } = (await addClient(db, listener)).client
    for (let n = 0; n < 10; n += 1) {
      const sessionId = await addSession(db, user)
      await db.insert(sessionClients).values({ sessionId, clientId, sid: sessionId })
    }
    const [disabled] = await Promise.all([
      disableUser(db, user.id, byAdmin()),
      deleteClientBy(db, clientId, byAdmin()),
    ])
    expect(disabled).toMatchObject({ sessions: { length: 10 } })
  }
  expect(await db.$count(logoutDeliveries)).toBe(0)
}, 120_000)

it('12,000 sessions of one person end together, each told of and audited', async () => {
  const { db } = database
  const user = await addUser(db)
  const { clientId } = (await addClient(db, listener)).client
  const sessionId = await addSession(db, user)
  const columns = sql.raw(
    'user_id, login_source, remembered, browser, platform, ip, created_at, last_seen_at, expires_at',
  )
  await db.execute(sql`insert into sessions (id, ${columns})
    select gen_random_uuid(), ${columns} from sessions, generate_series(2, 12000) where id = ${sessionId}`)
  await db.execute(sql`insert into session_clients (session_id, client_id, sid)
    select id, ${clientId}, id from sessions where user_id = ${user.id}`)
  const now = new Date()
  const end = { reason: 'revoked', now } as const
  const told = { type: 'SESSION_REVOKED', origin: systemOrigin, now } as const
  const ended = await endWithAudit(db, (tx) => endSessionsOfUser(tx, user.id, end), told)
  expect(ended).toHaveLength(12_000)
  expect(await db.$count(logoutDeliveries, sql`user_id = ${user.id}`)).toBe(12_000)
  const events = sql`select count(*)::int as n from audit_events where type = 'SESSION_REVOKED'`
  expect(rowsOf(await db.execute(events))).toEqual([{ n: 12_000 }])
}, 60_000)

it('an admin is disabled many times at once, by some who still see an admin and some who do not', async () => {
  const { db } = database
  for (let round = 0; round < races; round += 1) {
    const other = await addAdmin(db)
    await addSession(db, other)
    const disable = () => disableUser(db, other.id, byAdmin())
    const early = Array.from({ length: 6 }, disable)
    await Promise.race(early)
    const answers = await Promise.all([...early, ...Array.from({ length: 6 }, disable)])
    const ended = answers.filter((answer) => answer.result === 'success')
    expect(ended.map(({ sessions }) => sessions.length)).toEqual([1])
  }
}, 120_000)

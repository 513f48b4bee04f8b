/** What is deleted when its time is over, and what is not. */
import { eq, inArray, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import {
  deleteForgottenRegistrations,
  deleteUnusedRegistrations,
} from '#/domain/clients/forgotten-registrations.ts'
import {
  deleteWithdrawnConsents,
  findConsentedScope,
  grantConsent,
  listConsents,
} from '#/domain/consents/consents.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { askForCodes } from '../support/devices.ts'
import { addClient, addUser } from '../support/people.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

const day = 86_400_000
const now = new Date()
const ago = (days: number) => new Date(now.getTime() - days * day)

it('deletes consents that were taken back long ago, a batch at a time, and none that is in force', async () => {
  const { db } = database
  const user = await addUser(db)
  const { clientId } = (await addClient(db)).client
  const allow = (at: Date) =>
    grantConsent(db, { user, clientId, scope: 'openid', now: at }, systemOrigin)
  for (const days of [300, 200, 100, 10]) {
    await allow(ago(days + 1))
    const [{ id } = { id: '' }] = await listConsents(db, user.id)
    await revokeConsent(db, { id, user, now: ago(days) }, systemOrigin)
  }
  await allow(ago(400))
  expect(await deleteWithdrawnConsents(db, ago(90), 2)).toBe(2)
  expect(await deleteWithdrawnConsents(db, ago(90), 2)).toBe(1)
  expect(await deleteWithdrawnConsents(db, ago(90), 2)).toBe(0)
  const left = await db.select().from(consents).where(eq(consents.userId, user.id))
  expect(left.map(({ revokedAt }) => revokedAt).sort()).toEqual([ago(10), null])
  expect(await findConsentedScope(db, user.id, clientId)).toBe('openid')
})

const registrationTokenHash = 'digest'

async function addOld(
  more: Parameters<typeof addClient>[1],
  days: number,
  approvedAt: Date | null = null,
) {
  const { db } = database
  const { clientId } = (await addClient(db, more)).client
  await db
    .update(clients)
    .set({ updatedAt: ago(days), approvedAt })
    .where(eq(clients.clientId, clientId))
  return clientId
}

it('deletes clients that registered themselves and were never approved, and tells every cache', async () => {
  const { db } = database
  const add = addOld
  const forgotten = await add({ status: 'pending', registrationTokenHash }, 40)
  const kept = [
    await add({ status: 'pending', registrationTokenHash }, 20),
    await add({ status: 'active', registrationTokenHash }, 400),
    await add({ status: 'inactive', registrationTokenHash }, 400),
    // Not registered by itself.
    await add({ status: 'pending' }, 400),
    // Approved once and changed since.
    await add({ status: 'pending', registrationTokenHash }, 400, ago(500)),
  ]
  // Approved by a version that did not write it down, and changed since: somebody has allowed it.
  const returned = await add({ status: 'pending', registrationTokenHash }, 400)
  const user = await addUser(db)
  await grantConsent(db, { user, clientId: returned, scope: 'openid', now }, systemOrigin)
  const told: string[] = []
  await database.listen(
    'authgate_cache',
    (message) => told.push(message),
    () => {},
  )
  const by = { origin: systemOrigin, now }
  const old = { before: ago(30), limit: 500, by }
  expect(await deleteForgottenRegistrations(db, old)).toBe(1)
  expect(await deleteForgottenRegistrations(db, old)).toBe(0)
  const ids = [forgotten, ...kept, returned]
  const left = await db.select().from(clients).where(inArray(clients.clientId, ids))
  expect(left.map(({ clientId }) => clientId).sort()).toEqual([...kept, returned].sort())
  await expect.poll(() => told).toEqual([`client:${forgotten}`])
  expect(
    await db.$count(
      auditEvents,
      sql`${auditEvents.type} = 'CLIENT_DELETED' and ${auditEvents.clientId} = ${forgotten}`,
    ),
  ).toBe(1)
})

it('deletes clients that were let in unasked and that nobody has ever used, and no others', async () => {
  const { db } = database
  const own = { status: 'active', registrationTokenHash } as const
  const unused = await addOld(own, 40)
  const approved = await addOld(own, 400, ago(400))
  const young = await addOld(own, 20)
  const made = await addOld({ status: 'active' }, 400)
  const allowed = await addOld(own, 400)
  const user = await addUser(db)
  await grantConsent(db, { user, clientId: allowed, scope: 'openid', now }, systemOrigin)
  const polling = await addOld(own, 400)
  await askForCodes(db, polling)
  const working = await addOld({ ...own, grantTypes: ['client_credentials'] }, 400)
  await db.insert(tokens).values({
    id: crypto.randomUUID(),
    type: 'access',
    clientId: working,
    scope: '',
    familyId: crypto.randomUUID(),
    createdAt: now,
    expiresAt: now,
  })
  const old = { before: ago(30), limit: 500, by: { origin: systemOrigin, now } }
  // What the other tests have left is as unused as this one.
  await deleteUnusedRegistrations(db, old)
  expect(await deleteUnusedRegistrations(db, old)).toBe(0)
  const kept = [approved, young, made, allowed, polling, working]
  const left = await db
    .select()
    .from(clients)
    .where(inArray(clients.clientId, [unused, ...kept]))
  expect(left.map(({ clientId }) => clientId).sort()).toEqual(kept.sort())
})

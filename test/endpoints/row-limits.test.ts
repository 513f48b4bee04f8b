/** What strangers may leave in the database: so many rows of each kind, none of them large. */
import { eq, isNotNull } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { authorizationRequests } from '#/database/schema/authorization-requests.ts'
import { clients } from '#/database/schema/clients.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { usedProofs } from '#/database/schema/used-proofs.ts'
import { systemOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { consumeProof } from '#/domain/proofs/used-proofs.ts'
import type { BoundedTable } from '#/protocol/vocabulary.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { addDeviceClient } from '../support/devices.ts'
import { authorizePath } from '../support/flow.ts'
import { addClient } from '../support/people.ts'
import { movedBetween } from '../support/prometheus.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({
    settings: {
      ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
      DYNAMIC_CLIENT_REGISTRATION_MAX: '3',
      MAX_AUTHORIZATION_REQUESTS: '3',
      MAX_DEVICE_CODES: '3',
      MAX_USED_PROOFS: '3',
    },
  })
})
afterAll(() => app.close())

const json = { 'content-type': 'application/json' }

const register = (more: object = {}) =>
  app.request('/oauth/register', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ redirect_uris: [redirectUri], ...more }),
  })

const post = (path: string, fields: Record<string, string>) =>
  app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })

const rowSeries = (name: string, table: string) => `authgate_rows_${name}{table="${table}"}`

/** Eight at once where three have room: five are refused, counted, and leave nothing. */
async function expectThree(table: BoundedTable, rows: PgTable, send: () => Promise<Response>) {
  const before = await app.samples()
  const answers = await Promise.all(Array.from({ length: 8 }, send))
  const refused = answers.filter(({ status }) => status === 503)
  expect(refused).toHaveLength(5)
  for (const answer of refused) expect(answer.headers.get('retry-after')).toBe('60')
  const which = table === 'clients' ? isNotNull(clients.registrationTokenHash) : undefined
  expect(await app.database.db.$count(rows, which)).toBe(3)
  expect(movedBetween(before, await app.samples(), /^authgate_rows_/)).toMatchObject({
    [rowSeries('refused_total', table)]: 5,
    [rowSeries('stored', table)]: 3,
  })
  return refused
}

it('takes no more clients that register themselves than it has room for, and more once one has gone', async () => {
  const [refused] = await expectThree('clients', clients, () => register())
  expect(await refused?.json()).toMatchObject({ error: 'temporarily_unavailable' })
  const own = clients.registrationTokenHash
  const [one] = await app.database.db.select().from(clients).where(isNotNull(own)).limit(1)
  await app.database.db.delete(clients).where(eq(clients.clientId, one?.clientId ?? ''))
  // A full table is counted again every second.
  await expect.poll(async () => (await register()).status, { timeout: 10_000 }).toBe(201)
  expect((await register()).status).toBe(503)
})

it('lets operators make clients, however many have registered themselves', async () => {
  expect((await addClient(app.database.db)).client.status).toBe('active')
})

it('stores no more authorization requests than it has room for, whichever way they come', async () => {
  const { client } = await addClient(app.database.db)
  const path = authorizePath(client.clientId)
  const [refused] = await expectThree('authorization_requests', authorizationRequests, () =>
    openBrowser(app).get(path),
  )
  expect(await refused?.text()).toContain('Please try again in a minute.')
  const pushed = Object.fromEntries(new URL(path, 'https://x.test').searchParams)
  const answer = await post('/oauth/par', pushed)
  expect([answer.status, await answer.json()]).toMatchObject([
    503,
    { error: 'temporarily_unavailable' },
  ])
})

it('issues no more device codes than it has room for', async () => {
  const { client } = await addDeviceClient(app.database.db)
  const [refused] = await expectThree('device_codes', deviceCodes, () =>
    post('/oauth/device/code', { client_id: client.clientId, scope: 'openid' }),
  )
  expect(await refused?.json()).toMatchObject({ error: 'temporarily_unavailable' })
})

it('remembers no more proofs than it has room for, and takes none that it could not remember', async () => {
  const use = (jti: string) =>
    consumeProof(app.database.db, {
      kind: 'dpop',
      owner: 'somebody',
      jti,
      expiresAt: new Date(Date.now() + 60_000),
    })
  const uses = await Promise.allSettled(['a', 'b', 'c', 'd', 'e'].map(use))
  expect(uses.filter(({ status }) => status === 'rejected')).toHaveLength(2)
  expect(await app.database.db.$count(usedProofs)).toBe(3)
})

it('refuses metadata of more than 16 KiB', async () => {
  const contacts = Array.from({ length: 20 }, () => 'x'.repeat(300))
  const large = { contacts, request_uris: contacts.map((text) => `https://a.test/${text}${text}`) }
  const answer = await register(large)
  expect([answer.status, await answer.json()]).toEqual([
    413,
    {
      error: 'invalid_client_metadata',
      error_description: 'the metadata must have at most 16 KiB',
    },
  ])
})

it('writes no more than a line of what a request says of itself into the audit log', async () => {
  const { db } = app.database
  const at = new Date()
  const long = '👩'.repeat(3000)
  await writeAudit(
    db,
    { ...systemOrigin, userAgent: `x${long}`, ip: long },
    {
      type: 'AUTHENTICATION_FAILURE',
      at,
      actor: { id: crypto.randomUUID(), username: `x${long}` },
      clientId: long,
      resource: { type: 'limiter', id: long },
      details: { scope: `x${long}`, short: 'y', number: 1 },
    },
  )
  const [row] = await db.select().from(auditEvents).where(eq(auditEvents.at, at))
  expect(row?.userAgent).toHaveLength(256)
  for (const text of [row?.ip, row?.actorName, row?.clientId, row?.resourceId])
    expect(text?.length).toBeLessThanOrEqual(256)
  expect(String(row?.details['scope'])).toHaveLength(1000)
  expect(row?.details).toMatchObject({ short: 'y', number: 1 })
})

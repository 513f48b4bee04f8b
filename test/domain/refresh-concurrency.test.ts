import { and, eq, isNull } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { tokens } from '#/database/schema/tokens.ts'
import { setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { ageFamily } from '../support/database-time.ts'
import { addFamily, graceMs, refreshFor } from '../support/grants.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { rounds } from '../support/rounds.ts'

let database: TestDatabase
let family: { clientId: string; user: Awaited<ReturnType<typeof addUser>> }
beforeAll(async () => {
  database = await openTestDatabase()
  const user = await addUser(database.db)
  family = { user, clientId: (await addClient(database.db)).client.clientId }
})
afterAll(() => database.close())

const races = rounds(30)
const parallel = 50
const latecomers = 10

const start = () => addFamily(database.db, family.user, family.clientId)

const refresh = (token: string, now: Date, clientId = family.clientId) =>
  refreshFor(database.db, token, clientId, { now })

const allAtOnce = (n: number, token: string, now: Date) =>
  Promise.all(Array.from({ length: n }, () => refresh(token, now)))

type Result = Awaited<ReturnType<typeof refresh>>

const tally = (results: readonly Result[]) =>
  Object.fromEntries(
    Object.entries(Object.groupBy(results, ({ result }) => result)).map(([name, of]) => [
      name,
      of.length,
    ]),
  )

/** How many rows the results say have ended. */
const endedBy = (results: readonly Result[]) =>
  results
    .flatMap((one) => (one.result === 'reuse' ? [one.revoked] : []))
    .reduce(
      (sum, { access, refresh }) => ({
        access: sum.access + access,
        refresh: sum.refresh + refresh,
      }),
      { access: 0, refresh: 0 },
    )

const liveRows = async (familyId: string) => {
  const rows = await database.db
    .select({ type: tokens.type })
    .from(tokens)
    .where(and(eq(tokens.familyId, familyId), isNull(tokens.revokedAt)))
  const access = rows.filter(({ type }) => type === 'access').length
  return { access, refresh: rows.length - access }
}

it('rotates once in fifty parallel uses, hands all others that successor, and ends the family of those who come later', async () => {
  for (let round = 0; round < races; round += 1) {
    const { refreshToken, familyId } = await start()
    const now = new Date()
    const results = await allAtOnce(parallel, refreshToken, now)
    expect(tally(results)).toEqual({ success: 1, grace: parallel - 1 })
    const successors = new Set(
      results.map((one) => ('refreshToken' in one ? one.refreshToken : undefined)),
    )
    expect(successors.size).toBe(1)
    expect(successors).not.toContain(refreshToken)
    // That of the code, and one for each answer.
    const live = { access: parallel + 1, refresh: 1 }
    expect(await liveRows(familyId)).toEqual(live)

    await ageFamily(database.db, familyId, graceMs)
    const late = await allAtOnce(latecomers, refreshToken, now)
    expect(tally(late)).toEqual({ reuse: latecomers })
    expect(endedBy(late)).toEqual(live)
    expect(await liveRows(familyId)).toEqual({ access: 0, refresh: 0 })
  }
}, 300_000)

it('leaves nothing live, and counts each row once, when retries meet uses of the successor', async () => {
  for (let round = 0; round < races; round += 1) {
    const { refreshToken, familyId } = await start()
    const now = new Date()
    const first = await refresh(refreshToken, now)
    if (first.result !== 'success') throw new Error(first.result)
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        refresh(n % 2 === 0 ? first.refreshToken : refreshToken, now),
      ),
    )
    // A retry before the successor was used is one; any after it is theft.
    const { reuse = 0, success = 0, grace = 0, revoked = 0 } = tally(results)
    expect(reuse + success + grace + revoked).toBe(10)
    expect(success).toBeLessThanOrEqual(1)
    const live = await liveRows(familyId)
    if (reuse > 0) {
      expect(live).toEqual({ access: 0, refresh: 0 })
      // Each answer had its access token; each rotation left one refresh token.
      expect(endedBy(results)).toEqual({ access: 2 + success + grace, refresh: 1 })
    } else expect(live).toEqual({ access: 2 + success + grace, refresh: 1 })
  }
}, 300_000)

it('counts each row once when a user, a client, a consent and a family end at the same moment', async () => {
  const { db } = database
  const admin = await addAdmin(db)
  for (let round = 0; round < rounds(20); round += 1) {
    const user = await addUser(db)
    const { clientId } = (await addClient(db)).client
    const families = []
    for (let n = 0; n < 4; n += 1) families.push(await addFamily(db, user, clientId))
    const used = families[0]?.refreshToken ?? ''
    const past = new Date(Date.now() - graceMs)
    for (const { refreshToken, familyId } of families) {
      await refresh(refreshToken, past, clientId)
      await ageFamily(db, familyId, graceMs)
    }
    // Of each family: the access tokens of the code and of the refresh, and the successor.
    const live = { access: 2 * families.length, refresh: families.length }
    const [consent] = await listConsents(db, user.id)
    const now = new Date()
    const [disabled, deactivated, withdrawn, late] = await Promise.all([
      disableUser(db, user.id, { actor: admin, origin: systemOrigin, now }),
      setClientStatus(db, { clientId, status: 'inactive' }, { origin: systemOrigin, now }),
      revokeConsent(db, { id: consent?.id ?? '', user, now }, systemOrigin),
      refresh(used, now, clientId),
    ])
    if (disabled.result !== 'success') throw new Error(disabled.result)
    const stolen = endedBy([late])
    const ended = [disabled.tokens, deactivated?.ended.tokens, withdrawn?.tokens, stolen]
    const sum = (type: 'access' | 'refresh') =>
      ended.reduce((total, one) => total + (one?.[type] ?? 0), 0)
    expect({ access: sum('access'), refresh: sum('refresh') }).toEqual(live)
    for (const { familyId } of families)
      expect(await liveRows(familyId)).toEqual({ access: 0, refresh: 0 })
  }
}, 120_000)

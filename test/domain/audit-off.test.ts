/** What the server does by itself is written down only where audit logging is on. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createFirstAccounts } from '#/boot/bootstrap.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { undoTokens } from '#/domain/tokens/undo-tokens.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { addFamily } from '../support/grants.ts'
import { addClient, addUser } from '../support/people.ts'

let database: TestDatabase
const dataDir = mkdtempSync(join(tmpdir(), 'authgate-'))
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(async () => {
  rmSync(dataDir, { recursive: true })
  await database.close()
})

const origin = { enabled: false }
const countEvents = () => database.db.$count(auditEvents)

it('the first accounts', async () => {
  const first = { password: undefined, dataDir, now: new Date(), origin }
  expect(await createFirstAccounts(database.db, first)).toBeDefined()
  expect(await countEvents()).toBe(0)
})

it('tokens of a lost answer that are undone', async () => {
  const { db } = database
  const user = await addUser(db)
  const { clientId } = (await addClient(db)).client
  const { familyId, access } = await addFamily(db, user, clientId)
  const before = await countEvents()
  const undone = await db.transaction((tx) =>
    undoTokens(tx, {
      familyId,
      clientId,
      userId: user.id,
      ids: [access.id],
      deadline: new Date(),
      event: 'TOKEN_REFRESHED',
      origin,
      restore: async () => true,
    }),
  )
  expect(undone.restored).toBe(true)
  expect(await countEvents()).toBe(before)
})

import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { identities } from '#/database/schema/identities.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { listIdentities, removeIdentity } from '#/domain/identities/identities.ts'
import { listLiveSessions } from '#/domain/sessions/sessions.ts'
import type { User } from '#/domain/users/users.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { addSession } from '../support/grants.ts'
import { addUser } from '../support/people.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

async function link(user: User, ageMs = 0, source: 'github' | 'gitea' = 'github') {
  const at = new Date(Date.now() - ageMs)
  const [row] = await database.db
    .insert(identities)
    .values({
      userId: user.id,
      source,
      issuer: 'https://github.com',
      subject: crypto.randomUUID(),
      label: 'ada',
      createdAt: at,
      lastUsedAt: at,
    })
    .returning()
  if (!row) throw new Error('the identity was not linked')
  return row
}

const addUpstreamUser = () => addUser(database.db, { passwordHash: null, authSource: 'oauth' })

const remove = (user: User, id: string, keepSession: string = crypto.randomUUID()) =>
  removeIdentity(
    database.db,
    { id, userId: user.id, keepSession },
    { actor: user, origin: systemOrigin, now: new Date() },
  )

const idsOf = async (user: User) => (await listIdentities(database.db, user.id)).map(({ id }) => id)

const unlinkings = async (user: User) =>
  (await database.db.select().from(auditEvents).where(eq(auditEvents.resourceId, user.id))).filter(
    ({ type }) => type === 'IDENTITY_UNLINKED',
  )

describe('listIdentities', () => {
  it('shows what is linked to this account alone, the oldest first', async () => {
    const [user, other] = [await addUser(database.db), await addUser(database.db)]
    const [newer, older] = [await link(user), await link(user, 60_000)]
    await link(other)
    expect(await idsOf(user)).toEqual([older.id, newer.id])
  })
})

describe('removeIdentity', () => {
  it('ends the link of an account with a password, and the audit log says who did it', async () => {
    const user = await addUser(database.db)
    const { id } = await link(user)
    expect(await remove(user, id)).toMatchObject({ identity: { id }, sessions: [] })
    expect(await idsOf(user)).toEqual([])
    expect(await unlinkings(user)).toMatchObject([
      { actorUserId: user.id, details: { identity: id, source: 'github' } },
    ])
  })

  it('ends the sessions that were begun through it, but the one that asks, and no others', async () => {
    const user = await addUser(database.db)
    const [identity, elsewhere] = [await link(user), await link(user, 0, 'gitea')]
    const begin = (source: 'local' | 'github' | 'gitea', who?: typeof identity) =>
      addSession(database.db, user, { source, identity: who })
    const asking = await begin('github', identity)
    const through = [await begin('github', identity), await begin('github', identity)]
    const others = [await begin('local'), await begin('gitea', elsewhere)]
    const removed = await remove(user, identity.id, asking)
    const ended = typeof removed === 'string' ? [] : removed.sessions
    expect(ended.map(({ id }) => id).sort()).toEqual(through.sort())
    expect(ended).toMatchObject([{ reason: 'revoked' }, { reason: 'revoked' }])
    const live = await listLiveSessions(database.db, user.id, new Date())
    expect(live.map(({ id }) => id).sort()).toEqual([asking, ...others].sort())
    expect(await unlinkings(user)).toMatchObject([{ details: { sessions_ended: 2 } }])
  })

  it('leaves no session behind, in any interleaving with sign-ins through it', async () => {
    for (let round = 0; round < 10; round += 1) {
      const user = await addUser(database.db)
      const identity = await link(user)
      // Another link of the same source opens nothing in the name of the one that goes.
      await link(user)
      const begin = () => addSession(database.db, user, { source: 'github', identity })
      const steps: (() => Promise<unknown>)[] = [begin, begin, begin, begin]
      steps.splice(round % 5, 0, () => remove(user, identity.id))
      await Promise.all(steps.map((step) => step()))
      expect(await listLiveSessions(database.db, user.id, new Date())).toEqual([])
      await begin()
      expect(await listLiveSessions(database.db, user.id, new Date())).toEqual([])
    }
  })

  it('keeps the last link of an account without a password', async () => {
    const user = await addUpstreamUser()
    const { id } = await link(user)
    expect(await remove(user, id)).toBe('last_way_in')
    expect([await idsOf(user), await unlinkings(user)]).toEqual([[id], []])
  })

  it('leaves one of two links when both are removed at once', async () => {
    const user = await addUpstreamUser()
    const links = [await link(user), await link(user)]
    const answers = await Promise.all(links.map(({ id }) => remove(user, id)))
    expect(answers.filter((answer) => answer === 'last_way_in')).toHaveLength(1)
    expect(await idsOf(user)).toHaveLength(1)
    expect(await unlinkings(user)).toHaveLength(1)
  })

  it('takes a link of somebody else, and one that is gone, for none', async () => {
    const [user, other] = [await addUser(database.db), await addUser(database.db)]
    const [foreign, own] = [await link(other), await link(user)]
    await remove(user, own.id)
    for (const id of [foreign.id, own.id, crypto.randomUUID()])
      expect(await remove(user, id)).toBe('unknown')
    expect(await idsOf(other)).toEqual([foreign.id])
    expect(await unlinkings(user)).toHaveLength(1)
  })
})

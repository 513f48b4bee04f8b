/** Disconnecting apps: one or all; what people have allowed stays. */
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { consents } from '#/database/schema/consents.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { obtainCode, obtainTokens, redeemCode } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

async function addPerson() {
  const { id, username } = await addUser(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(username)
  return { id, browser }
}

const connect = async ({ browser }: Awaited<ReturnType<typeof addPerson>>) => {
  const { clientId } = (await addClient(app.database.db)).client
  const issued = await obtainTokens(app, browser, clientId)
  const [row] = await app.database.db.select().from(tokens).where(eq(tokens.clientId, clientId))
  return { clientId, familyId: row?.familyId ?? '', ...issued }
}

const page = '/account/tokens'
const userinfo = async (token: string) =>
  (await app.request('/oauth/userinfo', { headers: { authorization: `Bearer ${token}` } })).status
const ended = (access: number, refresh: number) => ({
  'oauth_tokens_revoked_total{reason="user_request",token_type="access"}': access,
  'oauth_tokens_revoked_total{reason="user_request",token_type="refresh"}': refresh,
  'oauth_tokens_active{token_type="access"}': -access,
  'oauth_tokens_active{token_type="refresh"}': -refresh,
})

describe('disconnecting one app', () => {
  it('ends its tokens and nothing else, counts the rows, and tells the audit log who did it', async () => {
    const person = await addPerson()
    const [one, other] = [await connect(person), await connect(person)]
    const { result, moved } = await observe(app, () =>
      person.browser.submit(page, `${page}/${one.familyId}/revoke`),
    )
    expect(result.headers.get('location')).toBe(`${page}?notice=ended`)
    expect(moved).toEqual(ended(1, 1))
    expect([await userinfo(one.access_token), await userinfo(other.access_token)]).toEqual([
      401, 200,
    ])
    const allowed = await app.database.db
      .select()
      .from(consents)
      .where(eq(consents.clientId, one.clientId))
    expect(allowed.map(({ revokedAt }) => revokedAt)).toEqual([null])
    const events = await app.database.db
      .select()
      .from(auditEvents)
      .where(eq(auditEvents.resourceId, one.familyId))
    expect(events.map(({ type, actorUserId }) => [type, actorUserId])).toContainEqual([
      'TOKEN_REVOKED',
      person.id,
    ])
  })

  it('of ten at once, one ends them', async () => {
    const person = await addPerson()
    const { familyId } = await connect(person)
    const { moved } = await observe(app, () =>
      Promise.all(
        Array.from({ length: 10 }, () => person.browser.submit(page, `${page}/${familyId}/revoke`)),
      ),
    )
    expect(moved).toEqual(ended(1, 1))
  })
})

describe('disconnecting all apps', () => {
  it('ends the tokens of each, and a code that was about to become tokens', async () => {
    const [person, stranger] = [await addPerson(), await addPerson()]
    const [one, two, foreign] = [
      await connect(person),
      await connect(person),
      await connect(stranger),
    ]
    const code = await obtainCode(person.browser, one.clientId)
    const { result, moved } = await observe(app, () =>
      person.browser.submit(page, `${page}/revoke-all`),
    )
    expect(result.headers.get('location')).toBe(`${page}?notice=all_ended`)
    expect(moved).toEqual(ended(2, 2))
    expect(await userinfo(two.access_token)).toBe(401)
    expect(await userinfo(foreign.access_token)).toBe(200)
    expect((await redeemCode(app, one.clientId, code)).status).toBe(400)
    // Whoever was allowed comes back without a question.
    expect((await obtainTokens(app, person.browser, one.clientId)).access_token).toBeTruthy()
  })

  it('changes and counts nothing when there is nothing to end', async () => {
    const person = await addPerson()
    const { moved } = await observeUnchanged(app, () =>
      person.browser.submit(page, `${page}/revoke-all`),
    )
    expect(moved).toEqual({})
  })
})

it('says when an app was last used, where it was let in and where it is connected', async () => {
  const person = await addPerson()
  const { clientId } = await connect(person)
  await app.database.db
    .update(tokens)
    .set({ createdAt: new Date(app.now().getTime() - 3 * 60_000) })
    .where(eq(tokens.clientId, clientId))
  for (const path of [page, '/account/authorizations']) {
    const html = await (await person.browser.get(path)).text()
    expect(html).toMatch(/last used[\s\S]{0,200}3 minutes ago/i)
  }
})

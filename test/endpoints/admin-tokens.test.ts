/** /admin and /admin/tokens: what there is, and taking tokens away. */
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { liveTokensQuery } from '#/domain/tokens/list-live-tokens.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { obtainTokens } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let admin: Browser
let adminId: string
beforeAll(async () => {
  app = await startTestApp()
  const { id, username } = await addAdmin(app.database.db)
  adminId = id
  admin = openBrowser(app)
  await admin.signIn(username)
})
afterAll(() => app.close())

async function connect() {
  const { db } = app.database
  const user = await addUser(db)
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  const { clientId } = (await addClient(db, { name: `App of ${user.username}` })).client
  await obtainTokens(app, browser, clientId)
  const [row] = await db.select().from(tokens).where(eq(tokens.clientId, clientId))
  return { user, clientId, familyId: row?.familyId ?? '' }
}

const text = async (path: string) => (await admin.get(path)).text()
const tile = (page: string, what: string) =>
  page.match(new RegExp(`${what}(?:</a>)?</dt><dd[^>]*>([^<]*)`))?.[1]

describe('the overview', () => {
  it('shows the numbers of the gauges, and the last ten events', async () => {
    await connect()
    await connect()
    const page = await text('/admin')
    const samples = await app.samples()
    expect(tile(page, 'Users')).toBe(`${samples.get('authgate_users_registered')}`)
    expect(tile(page, 'Active sessions')).toBe(`${samples.get('sessions_active')}`)
    for (const type of ['access', 'refresh'])
      expect(tile(page, `Active ${type} tokens`)).toBe(
        `${samples.get(`oauth_tokens_active{token_type="${type}"}`)}`,
      )
    expect(tile(page, 'Pending approval')).toBe('0')
    expect(page.match(/<summary class="event-opener">/g)).toHaveLength(10)
    expect(page).toContain('signed in to an app, which was issued tokens.')
  })

  it('says that a number cannot be had, and never shows 0 for it', async () => {
    const { db } = app.database
    await db.execute(sql`alter table consents rename to consents_away`)
    try {
      const page = await text('/admin')
      expect(tile(page, 'Active consents')).toBe('Not available')
      expect(tile(page, 'Users')).toMatch(/^[1-9]/)
    } finally {
      await db.execute(sql`alter table consents_away rename to consents`)
    }
  })
})

describe('the list of tokens', () => {
  it('shows live tokens by user, client and type, and none that has ended', async () => {
    const [one, other] = [await connect(), await connect()]
    const name = (of: typeof one) => `App of ${of.user.username}`
    for (const query of [
      `user=${one.user.username}`,
      `user=${one.user.id}`,
      `client=${one.clientId}`,
    ]) {
      const page = await text(`/admin/tokens?${query}`)
      expect([query, page.includes(name(one)), page.includes(name(other))]).toEqual([
        query,
        true,
        false,
      ])
    }
    const refresh = await text(`/admin/tokens?user=${one.user.username}&type=refresh`)
    expect(refresh.match(/<tr>/g)).toHaveLength(2)
    await admin.submit('/admin/tokens', `/admin/tokens/${one.familyId}/revoke`)
    expect(await text(`/admin/tokens?client=${one.clientId}`)).toContain('No active tokens')
  })

  it.each([
    'user=nobody-of-that-name',
    'client=x',
    'type=id',
    'after=x',
    'after=2026-13-40T99:00:00.000000Z_00000000-0000-0000-0000-000000000000',
    'user=%00',
    'other=1',
  ])('refuses %s instead of showing more than was asked for', async (query) => {
    const answer = await admin.get(`/admin/tokens?${query}`)
    expect(answer.status).toBe(400)
    expect(await answer.text()).not.toContain('<table')
  })

  it('shows each token once, page by page, also those that end in the same moment', async () => {
    const { db } = app.database
    const { clientId } = (await addClient(db)).client
    const end = new Date(app.now().getTime() + 3_600_000)
    await db.insert(tokens).values(
      Array.from({ length: 120 }, () => ({
        id: crypto.randomUUID(),
        type: 'access' as const,
        familyId: crypto.randomUUID(),
        clientId,
        scope: 'read',
        createdAt: app.now(),
        expiresAt: end,
      })),
    )
    const seen: string[] = []
    let path: string | undefined = `/admin/tokens?client=${clientId}`
    while (path !== undefined) {
      const page = await text(path)
      seen.push(
        ...[...page.matchAll(/\/admin\/tokens\/([0-9a-f-]{36})\/revoke/g)].map(([, id = '']) => id),
      )
      path = page.match(/href="(\/admin\/tokens\?[^"]*after=[^"]*)"/)?.[1]?.replaceAll('&amp;', '&')
    }
    expect([seen.length, new Set(seen).size]).toEqual([120, 120])
  })

  it('is read by indexes', async () => {
    const { db } = app.database
    const { user, clientId } = await connect()
    await db.execute(sql`
      insert into tokens (id, type, family_id, client_id, scope, created_at, expires_at, revoked_at, revocation_reason)
      select gen_random_uuid(), 'access', gen_random_uuid(), ${(await addClient(db)).client.clientId}, 'read', now(), now() + interval '1 hour',
        case when n % 2 = 0 then now() end, case when n % 2 = 0 then 'rotation' end from generate_series(1, 40000) n`)
    await db.execute(sql`vacuum analyze tokens`)
    for (const filter of [{}, { userId: user.id }, { clientId }]) {
      const query = liveTokensQuery(db, filter, { now: app.now(), limit: 51 })
      const answer: unknown = await db.execute(sql`explain ${query.getSQL()}`)
      const rows: unknown = Array.isArray(answer) ? answer : (answer as { rows: unknown }).rows
      expect(JSON.stringify(rows)).not.toContain('Seq Scan on tokens')
    }
  })
})

describe('ending tokens', () => {
  it('ends the family, is counted by the rows, and audited with the operator', async () => {
    const { user, familyId } = await connect()
    const { result, moved } = await observe(app, () =>
      admin.submit('/admin/tokens', `/admin/tokens/${familyId}/revoke`),
    )
    expect(result.headers.get('location')).toBe('/admin/tokens?notice=ended')
    expect(moved).toEqual({
      'oauth_tokens_revoked_total{reason="admin_request",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="admin_request",token_type="refresh"}': 1,
      'oauth_tokens_active{token_type="access"}': -1,
      'oauth_tokens_active{token_type="refresh"}': -1,
    })
    const events = await app.database.db
      .select()
      .from(auditEvents)
      .where(eq(auditEvents.resourceId, familyId))
    const ended = events.find(({ type }) => type === 'TOKEN_REVOKED')
    expect([ended?.actorUserId, ended?.details['user']]).toEqual([adminId, user.id])
    const again = await observeUnchanged(app, () =>
      admin.submit('/admin/tokens', `/admin/tokens/${familyId}/revoke`),
    )
    expect(again.moved).toEqual({})
  })
})

/** What operators do to one account, and what it ends, in rows and in counters. */
import { and, eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { consents } from '#/database/schema/consents.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { users } from '#/database/schema/users.ts'
import { disableUser } from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { editUser, userVersion } from '#/domain/users/edit-user.ts'
import { findUser } from '#/domain/users/users.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, openBrowser } from '../support/browser.ts'
import { obtainTokens } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { rounds } from '../support/rounds.ts'
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

async function addHolder() {
  const { db } = app.database
  const user = await addUser(db)
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  const { clientId } = (await addClient(db)).client
  await obtainTokens(app, browser, clientId)
  const [session] = await db.select().from(sessions).where(eq(sessions.userId, user.id))
  const [consent] = await db.select().from(consents).where(eq(consents.userId, user.id))
  const [token] = await db.select().from(tokens).where(eq(tokens.userId, user.id))
  const held = { sessionId: session?.id, consentId: consent?.id, familyId: token?.familyId }
  return { user, browser, ...held }
}

const send = async (path: string, fields: Record<string, string> = {}) =>
  admin.post(path, {
    csrf_token: csrfTokenOf(await (await admin.get('/admin/users')).text()),
    ...fields,
  })

const edit = async (id: string, fields: Record<string, string>) => {
  const user = await findUser(app.database.db, id)
  const seen = user ? userVersion(user) : ''
  const now = { full_name: user?.fullName ?? '', email: user?.email ?? '', role: user?.role ?? '' }
  return send(`/admin/users/${id}`, { seen, ...now, ...fields })
}

describe('an account that cannot be made', () => {
  it.each([
    ['a name that is taken', 409, { username: 'TAKEN-name' }],
    ['an address that is none', 400, { email: 'ada@' }],
    ['a short password', 400, { password: 'short-1' }],
    ['a password that many have', 400, { password: 'trustno1' }],
    ['a password made of the name', 400, { password: 'fresh-name1' }],
  ])('leaves the form as it was sent, but for the password: %s', async (_, status, wrong) => {
    if ('username' in wrong) await addUser(app.database.db, { username: 'taken-name' })
    const sent = { username: 'fresh-name', email: 'fresh@example.test', full_name: 'Fresh "One"' }
    const fields = { ...sent, password: 'typed-by-somebody', role: 'admin', ...wrong }
    const { result, moved } = await observe(app, () => send('/admin/users', fields))
    const text = await result.text()
    expect([result.status, moved]).toEqual([status, {}])
    expect(text).toMatch(/role="alert" id="form-problem">.*[.]</)
    expect(text).toContain('Fresh &quot;One&quot;')
    expect(text).toContain(`value="${fields.email}"`)
    expect(text).toMatch(/value="admin"[^>]* checked/)
    expect(text).not.toContain(fields.password)
  })
})

describe('single things of an account', () => {
  it('a session ends, is counted once, and its browser is sent to the sign-in page', async () => {
    const { user, browser, sessionId } = await addHolder()
    const { result, moved } = await observe(app, () =>
      send(`/admin/users/${user.id}/sessions/${sessionId}/revoke`),
    )
    expect(result.headers.get('location')).toContain('notice=signed_out')
    expect(moved).toMatchObject({
      'sessions_expired_total{reason="revoked"}': 1,
      sessions_active: -1,
    })
    expect((await browser.get('/account/devices')).headers.get('location')).toMatch(/^\/login/)
  })

  it('a consent ends with its tokens; the audit log names the admin, and the user as what it is about', async () => {
    const { user, consentId } = await addHolder()
    const { moved } = await observe(app, () =>
      send(`/admin/users/${user.id}/authorizations/${consentId}/revoke`),
    )
    expect(moved).toMatchObject({
      'oauth_consent_revoked_total{actor="admin"}': 1,
      'oauth_tokens_revoked_total{reason="consent_revoked",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="consent_revoked",token_type="refresh"}': 1,
    })
    const about = and(
      eq(auditEvents.type, 'USER_AUTHORIZATION_REVOKED'),
      eq(auditEvents.resourceId, user.id),
    )
    const events = await app.database.db.select().from(auditEvents).where(about)
    expect(events).toMatchObject([{ actorUserId: adminId, resourceType: 'user' }])
  })

  it('tokens end by the request of an admin, and the consent stays', async () => {
    const { user, familyId } = await addHolder()
    const { moved } = await observe(app, () =>
      send(`/admin/users/${user.id}/tokens/${familyId}/revoke`),
    )
    expect(moved).toMatchObject({
      'oauth_tokens_revoked_total{reason="admin_request",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="admin_request",token_type="refresh"}': 1,
    })
    expect(moved).not.toHaveProperty('authgate_consents_active')
  })

  it('of another user are as good as none under this one', async () => {
    const { sessionId, consentId, familyId } = await addHolder()
    const { user } = await addHolder()
    const foreign = [
      `sessions/${sessionId}/revoke`,
      `authorizations/${consentId}/revoke`,
      `tokens/${familyId}/revoke`,
    ]
    for (const path of foreign) {
      const { result, moved } = await observeUnchanged(app, () =>
        send(`/admin/users/${user.id}/${path}`),
      )
      expect([result.headers.get('location'), moved]).toEqual([`/admin/users/${user.id}`, {}])
    }
  })

  it('are all shown on its page', async () => {
    const { user, sessionId, consentId, familyId } = await addHolder()
    const page = await (await admin.get(`/admin/users/${user.id}`)).text()
    for (const id of [sessionId, consentId, familyId]) expect(page).toContain(`/${id}/revoke"`)
  })
})

describe('editing an account', () => {
  it('a new e-mail address is not verified', async () => {
    const { db } = app.database
    const { id } = await addUser(db, { emailVerified: true })
    await edit(id, { full_name: 'Grace' })
    expect(await findUser(db, id)).toMatchObject({ fullName: 'Grace', emailVerified: true })
    await edit(id, { email: `${id}@new.test` })
    expect(await findUser(db, id)).toMatchObject({ email: `${id}@new.test`, emailVerified: false })
  })

  it('an account can do without an e-mail address', async () => {
    const { id } = await addUser(app.database.db, { emailVerified: true })
    await edit(id, { email: '' })
    const [row] = await app.database.db.select().from(users).where(eq(users.id, id))
    expect(row).toMatchObject({ email: null, emailVerified: false })
    for (const page of [`/admin/users/${id}`, `/admin/users/${id}/edit`, '/admin/users'])
      expect((await admin.get(page)).status).toBe(200)
    expect(await (await admin.get(`/admin/users/${id}`)).text()).toContain('<dd>None</dd>')
  })

  it('a demoted admin is refused at the next click', async () => {
    const { db } = app.database
    const second = await addAdmin(db)
    const browser = openBrowser(app)
    await browser.signIn(second.username)
    expect((await browser.get('/admin/users')).status).toBe(200)
    await edit(second.id, { role: 'user' })
    expect((await browser.get('/admin/users')).status).toBe(403)
  })

  it.each([
    ['an address that is none', { email: 'ada@' }, 400],
    ['a role that does not exist', { role: 'root' }, 400],
    ['a long name', { full_name: 'x'.repeat(201) }, 400],
    ['a version that is no longer', { seen: 'old', full_name: 'Lost' }, 409],
  ])('refuses %s and shows the form again', async (_, fields, status) => {
    const { id } = await addUser(app.database.db)
    const { result } = await observeUnchanged(app, () => edit(id, fields))
    expect(result.status).toBe(status)
    expect(await result.text()).toContain('id="user-problem"')
  })

  it('refuses the address of another and a role of the own', async () => {
    const [one, two] = [await addUser(app.database.db), await addUser(app.database.db)]
    expect((await edit(one.id, { email: two.email.toUpperCase() })).status).toBe(409)
    expect((await edit(adminId, { role: 'user' })).status).toBe(409)
    expect(await findUser(app.database.db, adminId)).toMatchObject({ role: 'admin' })
  })
})

describe('two admins who demote or disable each other at the same moment', () => {
  it('leave at least one', async () => {
    const { db } = app.database
    const admins = and(eq(users.role, 'admin'), eq(users.isActive, true))
    await db.update(users).set({ role: 'user' }).where(admins)
    for (let round = 0; round < rounds(25); round += 1) {
      const [a, b] = [await addAdmin(db), await addAdmin(db)]
      const by = (actor: typeof a) => ({ actor, origin: systemOrigin, now: new Date() })
      const demote = (user: typeof a, actor: typeof a) =>
        editUser(db, { ...user, role: 'user', seen: userVersion(user) }, by(actor))
      await Promise.all([
        demote(a, b),
        round % 2 === 0 ? demote(b, a) : disableUser(db, b.id, by(a)),
      ])
      expect(await db.select().from(users).where(admins)).toHaveLength(1)
      await db.update(users).set({ role: 'user' }).where(admins)
    }
  })
})

describe("two admins who take each other's place away while others stay", () => {
  it('cannot both do so: who has lost it first decides no more', async () => {
    const { db } = app.database
    await addAdmin(db)
    for (let round = 0; round < rounds(20); round += 1) {
      const [a, b] = [await addAdmin(db), await addAdmin(db)]
      const by = (actor: typeof a) => ({ actor, origin: systemOrigin, now: new Date() })
      const done = await Promise.all([
        disableUser(db, a.id, by(b)),
        round % 2 === 0
          ? disableUser(db, b.id, by(a))
          : editUser(db, { ...b, role: 'user', seen: userVersion(b) }, by(a)),
      ])
      expect(done.filter(({ result }) => result === 'success')).toHaveLength(1)
    }
  })
})

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { and, eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { identities } from '#/database/schema/identities.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { users } from '#/database/schema/users.ts'
import { changePassword } from '#/domain/access-revocation/end-users.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { userVersion } from '#/domain/users/edit-user.ts'
import { createPasswords } from '#/domain/users/passwords.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, openBrowser } from '../support/browser.ts'
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts'
import { addAdmin, addUser, testPassword } from '../support/people.ts'
import { movedBetween, type Samples } from '../support/prometheus.ts'

const minute = 60_000
const hour = 60 * minute

let upstream: IdentityProvider
let app: TestApp
let replica: TestApp
beforeAll(async () => {
  upstream = await startIdentityProvider()
  app = await startTestApp({ settings: upstream.settings })
  replica = await startTestApp({ replicaOf: app })
})
afterAll(async () => {
  await replica.close()
  await app.close()
  await upstream.close()
})

/** A plain SELECT of the rows that would be accepted, written without any code of the product. */
async function selectLive(of: TestApp): Promise<number> {
  const now = of.now().toISOString()
  const rows = await app.database.db
    .select({ n: sql<number>`count(*)::int` })
    .from(sessions)
    .innerJoin(users, and(eq(users.id, sessions.userId), eq(users.isActive, true)))
    .where(
      sql`ended_at is null and expires_at > ${now}::timestamptz and (idle_expires_at is null or idle_expires_at > ${now}::timestamptz)`,
    )
  return rows[0]?.n ?? -1
}

/** Reads the exporter and holds the gauge against the SELECT, each time it is called. */
async function truth(of: TestApp = app): Promise<Samples> {
  const [samples, live] = [await of.samples(), await selectLive(of)]
  expect(samples.get('sessions_active')).toBe(live)
  return samples
}

const ledger = /^(sessions_|auth_logout|session_duration_seconds_count)/

/** Runs a step and answers what it moved in the ledger's series; the gauge is checked before and after. */
async function moves(
  step: () => Promise<unknown>,
  of: TestApp = app,
): Promise<Record<string, number>> {
  const before = await truth(of)
  await step()
  return movedBetween(before, await truth(of), ledger)
}

const ended = (reason: string, n = 1) => ({
  [`sessions_expired_total{reason="${reason}"}`]: n,
  session_duration_seconds_count: n,
  sessions_active: -n,
})

async function signedIn(
  more: Parameters<typeof addUser>[1] = {},
  fields: Record<string, string> = {},
) {
  const user = await addUser(app.database.db, more)
  const browser = openBrowser(app)
  await browser.signIn(user.username, fields)
  return { user, browser }
}

async function asAdmin() {
  const admin = await addAdmin(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(admin.username)
  return browser
}

let latestPerson = 0

function newPerson() {
  latestPerson += 1
  const username = `up-${crypto.randomUUID().slice(0, 8)}`
  return { id: latestPerson, username, email: `${username}@up.example.test`, verified: true }
}

const latestSession = async () =>
  (await app.database.db.select().from(sessions).orderBy(sql`created_at desc`).limit(1))[0]

const isSignedIn = async (browser: Browser) =>
  (await browser.get('/account/devices')).status === 200

describe('the session ledger over HTTP', () => {
  it('counts a sign-in once its cookie is saved, and nothing for a failed one', async () => {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    expect(
      await moves(() => browser.signIn(user.username, { password: 'wrong password' })),
    ).toEqual({})
    expect(await moves(() => browser.signIn(user.username))).toEqual({
      sessions_created_total: 1,
      sessions_active: 1,
    })
    expect(await isSignedIn(browser)).toBe(true)
  })

  it('counts one sign-out, however often it is repeated and whatever cookie is replayed', async () => {
    const { browser } = await signedIn()
    const stolen = browser.clone()
    const token = csrfTokenOf(await (await browser.get('/account/devices')).text())
    const once = await moves(() => browser.post('/logout', { csrf_token: token }))
    expect(once).toEqual({ ...ended('logout'), auth_logout_total: 1 })
    expect(await moves(() => browser.post('/logout', { csrf_token: token }))).toEqual({})
    expect(await moves(() => stolen.post('/logout', { csrf_token: token }))).toEqual({})
    expect(await moves(async () => expect(await isSignedIn(stolen)).toBe(false))).toEqual({})
  })

  it('moves nothing for a hundred anonymous sign-outs', async () => {
    const anyone = openBrowser(app)
    const attack = () =>
      Promise.all(Array.from({ length: 100 }, () => anyone.post('/logout', { csrf_token: 'x' })))
    expect(await moves(attack)).toEqual({})
  })

  it('counts one end for fifty parallel requests with one dead cookie, on pages that require a user and pages that do not', async () => {
    for (const path of ['/account/devices', '/login']) {
      const { browser } = await signedIn()
      app.advance(31 * minute)
      // Time alone ends what the others have left over; only this session is under test.
      await sweepAllBut(browser)
      const before = await app.samples()
      const copies = Array.from({ length: 50 }, () => browser.clone())
      await Promise.all(copies.map((copy) => copy.get(path)))
      expect(movedBetween(before, await truth(), ledger)).toEqual({
        'sessions_expired_total{reason="idle_timeout"}': 1,
        session_duration_seconds_count: 1,
      })
    }
  })

  it('ends a copied cookie used by another browser, for its owner too, and counts it once', async () => {
    const { browser } = await signedIn()
    const thief = openBrowser(app, { userAgent: 'curl/8.5.0', cookies: new Map(browser.cookies) })
    expect(await moves(() => thief.get('/account/devices'))).toEqual(ended('fingerprint_mismatch'))
    expect(await moves(async () => expect(await isSignedIn(browser)).toBe(false))).toEqual({})
  })

  it('signs nobody out when a browser updates itself', async () => {
    const { browser } = await signedIn()
    const updated = openBrowser(app, {
      userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:151.0) Gecko/20100101 Firefox/151.0',
      cookies: browser.cookies,
    })
    expect(await moves(async () => expect(await isSignedIn(updated)).toBe(true))).toEqual({})
  })

  it('replaces the session of the same browser: one ends, one starts, the gauge stands', async () => {
    const { user, browser } = await signedIn()
    expect(await moves(() => browser.signIn(user.username))).toEqual({
      sessions_created_total: 1,
      'sessions_expired_total{reason="replaced"}': 1,
      session_duration_seconds_count: 1,
    })
  })

  it('ends one device, and all others, from afar; at that moment, and each once', async () => {
    const { user, browser } = await signedIn()
    const devices = [openBrowser(app), openBrowser(app), openBrowser(app)]
    for (const device of devices) await device.signIn(user.username)
    const own = await app.database.db
      .select({ id: sessions.id })
      .from(sessions)
      .where(eq(sessions.userId, user.id))
      .orderBy(sessions.createdAt)
    const revokeOne = () =>
      browser.submit('/account/devices', `/account/devices/${own[1]?.id}/revoke`)
    expect(await moves(revokeOne)).toEqual(ended('revoked'))
    expect(await moves(revokeOne)).toEqual({})
    const revokeOthers = () => browser.submit('/account/devices', '/account/devices/revoke-others')
    expect(await moves(revokeOthers)).toEqual(ended('revoked', 2))
    expect(await moves(revokeOthers)).toEqual({})
    expect(await Promise.all(devices.map(isSignedIn))).toEqual([false, false, false])
    expect(await isSignedIn(browser)).toBe(true)
  })

  it('ends all sessions of a disabled user at once, and the next request of each moves nothing', async () => {
    const { user, browser } = await signedIn()
    const second = openBrowser(app)
    await second.signIn(user.username)
    const admin = await asAdmin()
    const disable = () => admin.submit('/admin/users', `/admin/users/${user.id}/disable`)
    expect(await moves(disable)).toEqual(ended('account_inactive', 2))
    expect(await moves(disable)).toEqual({})
    expect(
      await moves(async () =>
        expect([await isSignedIn(browser), await isSignedIn(second)]).toEqual([false, false]),
      ),
    ).toEqual({})
  })

  it('ends all sessions of a deleted user, and keeps their rows in the ledger', async () => {
    const { user } = await signedIn()
    const admin = await asAdmin()
    expect(
      await moves(() => admin.submit('/admin/users', `/admin/users/${user.id}/delete`)),
    ).toEqual(ended('account_inactive'))
    const rows = await app.database.db
      .select({ n: sql<number>`count(*)::int` })
      .from(sessions)
      .where(sql`user_id is null and end_reason = 'account_inactive'`)
    expect(rows[0]?.n).toBeGreaterThan(0)
  })

  it('counts a user disabled behind our back at the first request that notices, once', async () => {
    const { user, browser } = await signedIn()
    await app.database.db.update(users).set({ isActive: false }).where(eq(users.id, user.id))
    const notice = await moves(() =>
      Promise.all([1, 2, 3].map(() => browser.clone().get('/account/devices'))),
    )
    // The gauge had already fallen: it counts what would be accepted, not what has been ended.
    expect(notice).toEqual({
      'sessions_expired_total{reason="account_inactive"}': 1,
      session_duration_seconds_count: 1,
    })
  })

  it('ends one session, then all others of a user, by an operator, each once; a new role ends none', async () => {
    const { user, browser } = await signedIn({ role: 'admin' })
    await openBrowser(app).signIn(user.username)
    await openBrowser(app).signIn(user.username)
    const admin = await asAdmin()
    const page = `/admin/users/${user.id}`
    const fields = { full_name: user.fullName, email: user.email, role: 'user' }
    const seen = { seen: userVersion(user) }
    expect(await moves(() => admin.submit('/admin/users', page, { ...fields, ...seen }))).toEqual(
      {},
    )
    expect((await browser.get('/admin/users')).status).toBe(403)
    const own = await app.database.db.select().from(sessions).where(eq(sessions.userId, user.id))
    const one = () => admin.submit('/admin/users', `${page}/sessions/${own[0]?.id}/revoke`)
    expect(await moves(() => Promise.all([one(), one(), one()]))).toEqual(ended('revoked'))
    const all = () => admin.submit('/admin/users', `${page}/sessions/revoke-all`)
    expect(await moves(() => Promise.all([all(), all()]))).toEqual(ended('revoked', 2))
    expect(await moves(all)).toEqual({})
  })

  it('ends all other sessions when a password is changed and renews the one that asks, and ends all when it is reset', async () => {
    const { user, browser } = await signedIn()
    await openBrowser(app).signIn(user.username)
    const change = {
      current_password: 'correct horse battery staple',
      new_password: 'a better password',
      new_password_again: 'a better password',
    }
    expect(
      await moves(() => browser.submit('/account/security', '/account/security/password', change)),
    ).toEqual({
      ...ended('password_changed'),
      'sessions_expired_total{reason="replaced"}': 1,
      sessions_created_total: 1,
      session_duration_seconds_count: 2,
    })
    expect(await isSignedIn(browser)).toBe(true)
    const admin = await asAdmin()
    const reset = () => admin.submit('/admin/users', `/admin/users/${user.id}/reset-password`)
    expect(await moves(reset)).toEqual(ended('password_changed'))
  })

  it.each(['github', 'gitea', 'gitlab', 'microsoft', 'oidc'])(
    'starts one session for a sign-in through %s, and none for leaving, giving up or a replayed answer',
    async (source) => {
      const browser = openBrowser(app)
      const leave = async () =>
        (await browser.get(`/auth/login/${source}`)).headers.get('location') ?? ''
      const callback = (query: URLSearchParams) => browser.get(`/auth/callback/${source}?${query}`)
      const gaveUp = async () => {
        const state = new URL(await leave()).searchParams.get('state') ?? ''
        await callback(new URLSearchParams({ error: 'access_denied', state }))
      }
      expect(await moves(gaveUp)).toEqual({})
      const answer = upstream.approve(await leave(), newPerson())
      const started = { sessions_created_total: 1, sessions_active: 1 }
      expect(await moves(() => callback(answer))).toEqual(started)
      expect(await isSignedIn(browser)).toBe(true)
      expect(await moves(() => callback(answer))).toEqual({})
      expect(await latestSession()).toMatchObject({ loginSource: source, endedAt: null })
      expect(await moves(() => browser.signOut())).toEqual({
        ...ended('logout'),
        auth_logout_total: 1,
      })
    },
  )

  it('starts nothing when a signed-in user links a provider, and ends what began through it when they remove it', async () => {
    const { user, browser } = await signedIn()
    const person = newPerson()
    const link = async () => {
      const left = await browser.submit('/account/security', '/account/security/links/github')
      const href = /href="(http[^"]+authorize[^"]+)"/.exec(await left.text())?.[1] ?? ''
      const answer = upstream.approve(href.replaceAll('&amp;', '&'), person)
      await browser.get(`/auth/callback/github?${answer}`)
    }
    expect(await moves(link)).toEqual({})
    const linked = () =>
      app.database.db.select().from(identities).where(eq(identities.userId, user.id))
    const [identity] = await linked()
    expect(identity?.subject).toBe(String(person.id))
    const other = openBrowser(app)
    const away = (await other.get('/auth/login/github')).headers.get('location') ?? ''
    await other.get(`/auth/callback/github?${upstream.approve(away, person)}`)
    expect(await isSignedIn(other)).toBe(true)
    const remove = () =>
      browser.submit('/account/security', `/account/security/links/${identity?.id}/remove`)
    expect(await moves(remove)).toEqual(ended('revoked'))
    expect(await linked()).toEqual([])
    expect([await isSignedIn(browser), await isSignedIn(other)]).toEqual([true, false])
    expect(await moves(remove)).toEqual({})
  })

  it('ends what began through a connection that an operator removes', async () => {
    const { browser: operator } = await signedIn({ role: 'admin' })
    const person = newPerson()
    const browser = openBrowser(app)
    const away = (await browser.get('/auth/login/github')).headers.get('location') ?? ''
    await browser.get(`/auth/callback/github?${upstream.approve(away, person)}`)
    const own = eq(identities.subject, String(person.id))
    const [identity] = await app.database.db.select().from(identities).where(own)
    await app.database.db
      .update(users)
      .set({ passwordHash: 'so that it is not the last way in' })
      .where(eq(users.id, identity?.userId ?? ''))
    const page = `/admin/users/${identity?.userId}`
    const remove = () => operator.submit(page, `${page}/connections/${identity?.id}/remove`)
    expect(await moves(remove)).toEqual(ended('revoked'))
    expect([await isSignedIn(operator), await isSignedIn(browser)]).toEqual([true, false])
    expect(await moves(remove)).toEqual({})
  })

  it('starts one session for whom the HTTP API vouches, the local administrator among them, and none otherwise', async () => {
    const api = createServer((_, response) => {
      const vouched = JSON.stringify({ success: true, user_id: 'id-1', email: 'id-1@api.test' })
      response.writeHead(200, { 'content-type': 'application/json' }).end(says ?? vouched)
    })
    let says: string | undefined
    api.listen(0, '127.0.0.1')
    await once(api, 'listening')
    const { port } = api.address() as AddressInfo
    const settings = { AUTH_MODE: 'http_api', HTTP_API_URL: `http://127.0.0.1:${port}/` }
    const outside = await startTestApp({ replicaOf: app, settings })
    outside.advance(app.now().getTime() - outside.now().getTime())
    const started = { sessions_created_total: 1, sessions_active: 1 }
    try {
      const username = `api-${crypto.randomUUID().slice(0, 8)}`
      expect(await moves(() => openBrowser(outside).signIn(username), outside)).toEqual(started)
      const admin = await addAdmin(app.database.db)
      expect(await moves(() => openBrowser(outside).signIn(admin.username), outside)).toEqual(
        started,
      )
      says = JSON.stringify({ success: false })
      expect(await moves(() => openBrowser(outside).signIn(`${username}-other`), outside)).toEqual(
        {},
      )
    } finally {
      await outside.close()
      api.closeAllConnections()
      api.close()
    }
  })

  it('counts nothing here for what an operator ends from the shell, and the gauge falls all the same', async () => {
    const { user, browser } = await signedIn()
    await openBrowser(app).signIn(user.username)
    // What npm run admin does, in a process of its own.
    const passwordHash = await createPasswords().hash(testPassword)
    const by = { origin: systemOrigin, now: app.now() }
    const reset = () => changePassword(app.database.db, { id: user.id, passwordHash }, by)
    expect(await moves(reset)).toEqual({ sessions_active: -2 })
    expect(await moves(async () => expect(await isSignedIn(browser)).toBe(false))).toEqual({})
  })

  it('lets a remembered session idle, but not for ever', async () => {
    const { browser } = await signedIn({}, { remember_me: '1' })
    app.advance(20 * 24 * hour)
    expect(await isSignedIn(browser)).toBe(true)
    app.advance(11 * 24 * hour)
    await sweepAllBut(browser)
    const before = await app.samples()
    expect(await isSignedIn(browser)).toBe(false)
    expect(movedBetween(before, await truth(), ledger)).toEqual({
      'sessions_expired_total{reason="timeout"}': 1,
      session_duration_seconds_count: 1,
    })
  })

  it('tells the same truth on another replica and after a restart', async () => {
    const { browser } = await signedIn()
    replica.advance(app.now().getTime() - replica.now().getTime())
    const there = openBrowser(replica, { cookies: browser.cookies })
    expect(await moves(async () => expect(await isSignedIn(there)).toBe(true), replica)).toEqual({})
    expect(await moves(() => there.signOut(), replica)).toEqual({
      ...ended('logout'),
      auth_logout_total: 1,
    })
    expect(await moves(async () => expect(await isSignedIn(browser)).toBe(false))).toEqual({})
    const restarted = await startTestApp({ replicaOf: app })
    restarted.advance(app.now().getTime() - restarted.now().getTime())
    expect((await truth(restarted)).get('sessions_active')).toBe(
      (await truth()).get('sessions_active'),
    )
    expect((await restarted.samples()).get('sessions_created_total')).toBe(0)
    await restarted.close()
  })

  it('starts nothing and counts nothing when the cookie cannot be sealed', async () => {
    const user = await addUser(app.database.db)
    const broken = await startTestApp({ replicaOf: app })
    broken.advance(app.now().getTime() - broken.now().getTime())
    const browser = openBrowser(broken)
    const page = await (await browser.get('/login')).text()
    const { subtle } = globalThis.crypto
    const sign = subtle.sign
    subtle.sign = () => Promise.reject(new Error('no entropy today'))
    try {
      const before = await broken.samples()
      const fields = {
        csrf_token: csrfTokenOf(page),
        username: user.username,
        password: 'correct horse battery staple',
      }
      expect((await browser.post('/login', fields)).status).toBe(500)
      expect(movedBetween(before, await truth(broken), ledger)).toEqual({})
    } finally {
      subtle.sign = sign
      await broken.close()
    }
    expect(
      await app.database.db.select().from(sessions).where(eq(sessions.userId, user.id)),
    ).toEqual([])
  })

  it('keeps its invariant: every row is live, lapsed or ended, and every end has one reason', async () => {
    const rows = await app.database.db.select().from(sessions)
    const now = app.now()
    const lapsed = rows.filter(
      (row) =>
        !row.endedAt && (row.expiresAt <= now || (row.idleExpiresAt && row.idleExpiresAt <= now)),
    )
    const endedRows = rows.filter((row) => row.endedAt && row.endReason)
    expect(rows.length).toBe((await selectLive(app)) + lapsed.length + endedRows.length)
  })
})

/** Ends what else has lapsed, so that a test sees the end of this browser's session alone. */
async function sweepAllBut(browser: Browser) {
  expect(browser.cookies.has('oauth_session')).toBe(true)
  const { db } = app.database
  const [row] = await db
    .select()
    .from(sessions)
    .where(sql`ended_at is null`)
    .orderBy(sql`created_at desc`)
    .limit(1)
  if (!row) throw new Error('no session to keep')
  const { expiresAt, idleExpiresAt } = row
  // Hidden from the sweeper for a moment, then put back as it was.
  await db
    .update(sessions)
    .set({ expiresAt: new Date('2099-01-01'), idleExpiresAt: null })
    .where(eq(sessions.id, row.id))
  await app.sweep()
  await db.update(sessions).set({ expiresAt, idleExpiresAt }).where(eq(sessions.id, row.id))
}

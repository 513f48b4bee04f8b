/** Whatever takes access from a person ends exactly what it must, and the counters move by the rows that it really changed. */
import { and, eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { consents } from '#/database/schema/consents.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { sessionClients } from '#/database/schema/session-clients.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { userVersion } from '#/domain/users/edit-user.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, openBrowser } from '../support/browser.ts'
import { addApproved, addDeviceClient } from '../support/devices.ts'
import { obtainCode, obtainTokens } from '../support/flow.ts'
import { addAdmin, addClient, addUser, testPassword } from '../support/people.ts'
import { observe, rowsOf } from './refusals.ts'

let app: TestApp
let replica: TestApp
let admin: Browser
beforeAll(async () => {
  app = await startTestApp()
  replica = await startTestApp({ replicaOf: app })
  admin = openBrowser(app)
  await admin.signIn((await addAdmin(app.database.db)).username)
})
afterAll(async () => {
  await replica.close()
  await app.close()
})

/**
 * Somebody with two apps, a device and four sessions, one of them remembered and known to an app that wants to hear of
 * its end; and with one of everything that has run out, but that nobody has ended yet.
 */
async function addHolder() {
  const { db } = app.database
  const user = await addUser(db, { role: 'admin' })
  const [browser, remembered] = [openBrowser(app), openBrowser(app)]
  await browser.signIn(user.username)
  await remembered.signIn(user.username, { remember_me: '1' })
  const listener = { backchannelLogoutUri: 'https://app.example.test/logout' }
  const one = (await addClient(db, listener)).client.clientId
  const two = (await addClient(db)).client.clientId
  const device = (await addDeviceClient(db)).client.clientId
  for (let n = 0; n < 2; n += 1) await obtainTokens(app, remembered, one)
  await obtainTokens(app, browser, two)
  await obtainCode(browser, two)
  await addApproved(db, user, device)
  await addApproved(db, user, device)
  await runOut(user.id, one)
  return { user, browser, one, two, device }
}
type Holder = Awaited<ReturnType<typeof addHolder>>

/** A session, tokens and a device code that are past their time, though no sweeper came by. */
async function runOut(userId: string, clientId: string) {
  const { db } = app.database
  const ago = (minutes: number) => new Date(app.now().getTime() - minutes * 60_000)
  const of = and(eq(sessions.userId, userId), eq(sessions.remembered, false))
  const [session] = await db.select().from(sessions).where(of).limit(1)
  if (!session) throw new Error('nobody is signed in')
  const { lapsesAt: _, ...idle } = session
  const id = crypto.randomUUID()
  await db.insert(sessions).values({ ...idle, id, idleExpiresAt: ago(1) })
  await db.insert(sessionClients).values({ sessionId: id, clientId, sid: id })
  for (const token of await db.select().from(tokens).where(eq(tokens.userId, userId))) {
    const past = { createdAt: ago(90), expiresAt: ago(30), secretHash: null }
    await db.insert(tokens).values({ ...token, id: crypto.randomUUID(), ...past })
  }
  const [late] = await db.select().from(deviceCodes).where(eq(deviceCodes.userId, userId)).limit(1)
  await db
    .update(deviceCodes)
    .set({ expiresAt: ago(1) })
    .where(eq(deviceCodes.id, late?.id ?? ''))
}

/** Every row of the person's by what has become of it, in SQL that knows no code of the product. */
async function rowsOfPerson(userId: string): Promise<Record<string, number>> {
  const found = await app.database.db.execute(sql`
    select 'session ' || coalesce(end_reason, 'open') as what from sessions where user_id = ${userId}
    union all select type || ' ' || coalesce(revocation_reason, 'open') from tokens where user_id = ${userId}
    union all select 'consent ' || case when revoked_at is null then 'open' else 'revoked' end from consents where user_id = ${userId}
    union all select 'code' from authorization_codes where user_id = ${userId} and consumed_at is null
    union all select 'device ' || status from device_codes where user_id = ${userId}
    union all select 'letter' from logout_deliveries where user_id = ${userId}`)
  const rows = Object.groupBy(rowsOf(found), ({ what }) => String(what))
  return Object.fromEntries(Object.entries(rows).map(([what, all]) => [what, all?.length ?? 0]))
}

/** What there is of everything: each kind has rows that have run out, too. */
const live = { sessions: 4, tokens: 3, consents: 3, codes: 1, devices: 1, letters: 1 } as const
const runOutRows = { sessions: 1, tokens: 3, devices: 1 } as const

interface End {
  readonly reason: string
  /** How many rows end; none unless it is said. Of tokens, that many of each type. */
  readonly sessions?: number
  readonly tokens?: number
  readonly consents?: number
  readonly actor?: 'user' | 'admin'
  readonly codes?: number
  readonly devices?: number
  readonly letters?: number
  /** Sessions that go on under another id. */
  readonly renewed?: number
}

/** What the counters and gauges must say of it. */
const seriesOf = ({ reason, sessions = 0, tokens = 0, consents = 0, devices = 0, ...end }: End) =>
  moving({
    [`sessions_expired_total{reason="${reason}"}`]: sessions,
    // The idle one ended by itself, whoever finds it.
    'sessions_expired_total{reason="idle_timeout"}': sessions > 0 ? runOutRows.sessions : 0,
    sessions_active: -sessions,
    'sessions_expired_total{reason="replaced"}': end.renewed ?? 0,
    sessions_created_total: end.renewed ?? 0,
    [`oauth_tokens_revoked_total{reason="${reason}",token_type="access"}`]: tokens,
    [`oauth_tokens_revoked_total{reason="${reason}",token_type="refresh"}`]: tokens,
    'oauth_tokens_active{token_type="access"}': -tokens,
    'oauth_tokens_active{token_type="refresh"}': -tokens,
    [`oauth_consent_revoked_total{actor="${end.actor}"}`]: consents,
    authgate_consents_active: -consents,
    'authgate_device_codes_ended_total{result="denied"}': devices,
    oauth_device_codes_active: -devices,
    authgate_logout_deliveries_pending: end.letters ?? 0,
  })

/** What must have become of the rows. */
const rowsAfter = ({ reason, sessions = 0, tokens = 0, consents = 0, ...end }: End) => {
  const { codes = 0, devices = 0, letters = 0 } = end
  return moving({
    'session open': live.sessions - sessions + (sessions > 0 ? 0 : runOutRows.sessions),
    [`session ${reason}`]: sessions,
    'session replaced': end.renewed ?? 0,
    'session idle_timeout': sessions > 0 ? runOutRows.sessions : 0,
    'access open': live.tokens + runOutRows.tokens - tokens,
    'refresh open': live.tokens + runOutRows.tokens - tokens,
    [`access ${reason}`]: tokens,
    [`refresh ${reason}`]: tokens,
    'consent open': live.consents - consents,
    'consent revoked': consents,
    code: live.codes - codes,
    'device approved': live.devices + runOutRows.devices - devices,
    'device denied': devices,
    letter: letters,
  })
}

const moving = (all: Record<string, number>) =>
  Object.fromEntries(Object.entries(all).filter(([, n]) => n !== 0))

interface Cascade {
  readonly what: string
  readonly by: 'admin' | 'self'
  readonly end: End
  form(holder: Holder): Promise<[path: string, fields?: Record<string, string>]>
}

const onAccount =
  (verb: string): Cascade['form'] =>
  async ({ user }) => [`/admin/users/${user.id}/${verb}`]

const consentOf =
  (under: 'account' | 'person' | 'client', client: 'two' | 'device'): Cascade['form'] =>
  async (holder) => {
    const { id } = holder.user
    const clientId = holder[client]
    const of = and(eq(consents.userId, id), eq(consents.clientId, clientId))
    const [consent] = await app.database.db.select().from(consents).where(of)
    const folder = {
      account: '/account',
      person: `/admin/users/${id}`,
      client: `/admin/clients/${clientId}`,
    }
    return [`${folder[under]}/authorizations/${consent?.id}/revoke`]
  }

const allTokens = { tokens: live.tokens, codes: live.codes, devices: live.devices }
const all = { ...allTokens, sessions: live.sessions, letters: live.letters }
const newPassword = { new_password: 'a better password', new_password_again: 'a better password' }

const cascades: readonly Cascade[] = [
  {
    what: 'an operator disables them',
    by: 'admin',
    form: onAccount('disable'),
    end: { reason: 'account_inactive', ...all },
  },
  {
    what: 'an operator resets their password',
    by: 'admin',
    form: onAccount('reset-password'),
    end: { reason: 'password_changed', ...all },
  },
  {
    what: 'they change their password in one of their browsers',
    by: 'self',
    form: async () => [
      '/account/security/password',
      { current_password: testPassword, ...newPassword },
    ],
    end: { reason: 'password_changed', ...all, sessions: live.sessions - 1, renewed: 1 },
  },
  {
    what: 'an operator signs them out everywhere',
    by: 'admin',
    form: onAccount('sessions/revoke-all'),
    end: { reason: 'revoked', sessions: live.sessions, letters: 1 },
  },
  {
    what: 'an operator makes them a user like others',
    by: 'admin',
    form: async ({ user }) => [
      `/admin/users/${user.id}`,
      { email: user.email, full_name: user.fullName, role: 'user', seen: userVersion(user) },
    ],
    end: { reason: 'none' },
  },
  {
    what: 'they disconnect all their apps',
    by: 'self',
    form: async () => ['/account/tokens/revoke-all'],
    end: { reason: 'user_request', ...allTokens },
  },
  {
    what: 'they take back their consent to an app',
    by: 'self',
    form: consentOf('account', 'two'),
    end: { reason: 'consent_revoked', tokens: 1, consents: 1, actor: 'user', codes: 1 },
  },
  {
    what: 'they take back their consent to a device that waits for its tokens',
    by: 'self',
    form: consentOf('account', 'device'),
    end: { reason: 'consent_revoked', consents: 1, actor: 'user', devices: 1 },
  },
  ...(['person', 'client'] as const).map((under) => ({
    what: `an operator takes back their consent on the page of the ${under}`,
    by: 'admin' as const,
    form: consentOf(under, 'two'),
    end: { reason: 'consent_revoked', tokens: 1, consents: 1, actor: 'admin', codes: 1 } as const,
  })),
]

/** The same form on two replicas, three times each, at the same moment; what both have counted together. */
async function sendAtOnce(cascade: Cascade, holder: Holder) {
  const browser = cascade.by === 'admin' ? admin : holder.browser
  const [path, fields] = await cascade.form(holder)
  const csrf_token = csrfTokenOf(await (await browser.get('/account/devices')).text())
  const elsewhere = openBrowser(replica, { cookies: new Map(browser.cookies) })
  const there = await observe(replica, async () => {
    const send = (from: Browser) => from.post(path, { csrf_token, ...fields })
    const both = [browser, elsewhere].flatMap((from) => [from, from, from])
    return observe(app, () => Promise.all(both.map(send)))
  })
  const here = there.result
  const counted = Object.entries(there.moved).filter(([name]) => name.includes('_total'))
  const moved = { ...here.moved }
  for (const [name, n] of counted) moved[name] = (moved[name] ?? 0) + n
  return { moved, statuses: here.result.map(({ status }) => status) }
}

describe('a person with something of everything', () => {
  it.each(cascades)('loses exactly what they must when $what', async (cascade) => {
    const holder = await addHolder()
    expect(await rowsOfPerson(holder.user.id)).toEqual(rowsAfter({ reason: 'none' }))
    const { moved, statuses } = await sendAtOnce(cascade, holder)
    expect(Math.max(...statuses)).toBeLessThan(500)
    expect(moved).toEqual(seriesOf(cascade.end))
    expect(await rowsOfPerson(holder.user.id)).toEqual(rowsAfter(cascade.end))
  })

  it('loses everything when an operator deletes them, and apps still hear of it', async () => {
    const holder = await addHolder()
    const deletion = { by: 'admin', form: onAccount('delete') } as const
    const end = { reason: 'account_inactive', ...all, consents: 3, actor: 'admin' } as const
    const { moved } = await sendAtOnce({ what: '', end, ...deletion }, holder)
    expect(moved).toEqual(seriesOf(end))
    expect(await rowsOfPerson(holder.user.id)).toEqual({ letter: live.letters })
  })
})

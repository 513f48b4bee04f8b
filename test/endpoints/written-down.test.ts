/** What is refused is written down: in the audit log, bounded, and in one series; both tell the same number. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { obtainTokens } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { createKey, signDpopProof } from '../support/proofs.ts'

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

let app: TestApp
let browser: Browser
let user: { readonly id: string; readonly username: string }
let confidential: { readonly id: string; readonly secret: string }
beforeAll(async () => {
  app = await startTestApp({
    settings: { ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true', DPOP_REQUIRE_NONCE: 'false' },
  })
  user = await addUser(app.database.db)
  browser = openBrowser(app)
  await browser.signIn(user.username)
  const { client, secret = '' } = await addClient(app.database.db, {
    type: 'confidential',
    grantTypes: ['authorization_code', 'client_credentials', exchange],
  })
  confidential = { id: client.clientId, secret }
})
afterAll(() => app.close())
beforeEach(async () => {
  await app.database.db.delete(auditEvents)
  // A minute of its own for each test.
  app.advance(60_000)
})

const post = (path: string, fields: Record<string, string>, headers = {}) =>
  app.request(path, {
    method: 'POST',
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })
const secretOf = ({ id, secret }: typeof confidential) => ({ client_id: id, client_secret: secret })

/** What the series and the log tell of a step: how many of which kind, and in which rows. */
async function told(step: () => Promise<unknown>) {
  const refusals = async () =>
    [...(await app.samples())].filter(([series]) => series.startsWith('authgate_refusals_total'))
  const before = new Map(await refusals())
  await step()
  const moved = (await refusals()).flatMap(([series, n]) => {
    const by = n - (before.get(series) ?? 0)
    return by === 0 ? [] : [[/kind="(\w+)"/.exec(series)?.[1], by]]
  })
  const rows = await app.database.db.select().from(auditEvents).orderBy(auditEvents.id)
  return { moved: Object.fromEntries(moved), rows }
}

const requests: Record<string, [send: () => Promise<Response>, status: number, row: object]> = {
  admin_access: [
    () => browser.get('/admin/users'),
    403,
    { type: 'ACCESS_DENIED', details: { reason: 'not_an_administrator' } },
  ],
  cross_site_form: [
    () => post('/login', { username: 'x' }, { origin: 'https://evil.example.test' }),
    403,
    { type: 'FORM_REFUSED', actorUserId: null, details: { reason: 'cross_site' } },
  ],
  outdated_form: [
    () => browser.post('/account/security/password', { csrf_token: 'of yesterday' }),
    403,
    { type: 'FORM_REFUSED', details: { reason: 'outdated' } },
  ],
  current_password: [
    () =>
      browser.submit('/account/security', '/account/security/password', {
        current_password: 'a guess',
        new_password: 'another long password',
        new_password_again: 'another long password',
      }),
    400,
    {
      type: 'AUTHENTICATION_FAILURE',
      details: { reason: 'wrong_password', endpoint: '/account/security/password' },
    },
  ],
  client_authentication: [
    () => post('/oauth/token', { ...secretOf(confidential), client_secret: 'a guess' }),
    401,
    {
      type: 'CLIENT_AUTHENTICATION_FAILURE',
      details: { reason: 'invalid_client', endpoint: '/oauth/token' },
    },
  ],
  grant: [
    () =>
      post('/oauth/token', {
        ...secretOf(confidential),
        grant_type: 'authorization_code',
        code: 'a guess',
        redirect_uri: redirectUri,
        code_verifier: 'v'.repeat(43),
      }),
    400,
    {
      type: 'TOKEN_REQUEST_REFUSED',
      details: {
        reason: 'invalid_grant',
        endpoint: '/oauth/token',
        grant_type: 'authorization_code',
      },
    },
  ],
  token_exchange: [
    () =>
      post('/oauth/token', {
        ...secretOf(confidential),
        grant_type: exchange,
        subject_token: 'a guess',
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      }),
    400,
    {
      type: 'TOKEN_REQUEST_REFUSED',
      details: { reason: 'invalid_request', endpoint: '/oauth/token', grant_type: exchange },
    },
  ],
  registration_token: [
    () =>
      app.request(`/oauth/register/${confidential.id}`, {
        headers: { authorization: 'Bearer guess' },
      }),
    401,
    {
      type: 'REGISTRATION_REFUSED',
      details: { reason: 'invalid_token', endpoint: '/oauth/register' },
    },
  ],
}

describe('a refusal that left no trace', () => {
  const byUser = ['admin_access', 'outdated_form', 'current_password']
  const byClient = ['client_authentication', 'grant', 'token_exchange']
  it.each(Object.entries(requests))('%s is one row a minute with its count', async (kind, of) => {
    const [send, status, row] = of
    const { moved, rows } = await told(async () => {
      for (let n = 0; n < 5; n += 1) expect((await send()).status).toBe(status)
    })
    expect(moved).toEqual({ [kind]: 5 })
    const [found, ...more] = rows.filter(({ success }) => !success)
    expect(more).toEqual([])
    expect(found).toMatchObject({
      severity: 'warning',
      ip: '192.0.2.10',
      actorUserId: byUser.includes(kind) ? user.id : null,
      clientId: byClient.includes(kind) ? confidential.id : null,
      ...row,
    })
    expect(found?.details['count']).toBe(5)
    expect(found?.traceId).toMatch(/^[0-9a-f]{32}$/)
    // No secret, and nothing that was typed.
    expect(JSON.stringify(rows)).not.toMatch(/guess|yesterday/)
  })

  it('asking about, and revoking, a token of another client is written down', async () => {
    const { client } = await addClient(app.database.db)
    const tokens = await obtainTokens(app, browser, client.clientId)
    const { moved, rows } = await told(async () => {
      const token = tokens.access_token
      const asked = await post('/oauth/introspect', { ...secretOf(confidential), token })
      expect(await asked.json()).toEqual({ active: false })
      const revoked = await post('/oauth/revoke', { ...secretOf(confidential), token })
      expect(revoked.status).toBe(400)
    })
    expect(moved).toEqual({ introspection: 1, revocation: 1 })
    expect(rows.filter(({ success }) => !success)).toMatchObject([
      { type: 'INTROSPECTION_REFUSED', clientId: confidential.id },
      { type: 'REVOCATION_REFUSED', clientId: confidential.id },
    ])
  })

  it('a proof that is shown again is written down as that alone', async () => {
    const key = await createKey()
    const proof = await signDpopProof(key, {
      htm: 'POST',
      htu: `${app.config.server.baseUrl}/oauth/token`,
      now: app.now(),
    })
    const fields = { ...secretOf(confidential), grant_type: 'client_credentials' }
    const send = () => post('/oauth/token', fields, { dpop: proof })
    expect((await send()).status).toBe(200)
    const { moved, rows } = await told(async () => expect((await send()).status).toBe(400))
    expect(moved).toEqual({ replayed_proof: 1 })
    expect(rows.filter(({ success }) => !success)).toMatchObject([
      { type: 'PROOF_REPLAYED', clientId: confidential.id },
    ])
  })
})

describe('failed sign-ins', () => {
  const failures = async () =>
    (await app.database.db.select().from(auditEvents).orderBy(auditEvents.id)).filter(
      ({ type }) => type === 'AUTHENTICATION_FAILURE',
    )
  const attempt = (username: string, ip: string) =>
    openBrowser(app, { ip }).submit('/login', '/login', { username, password: 'wrong' })

  it('of unknown names are one row for each network and minute, and each moves its series', async () => {
    const series = 'authgate_login_failures_total{reason="unknown_user"}'
    const before = (await app.samples()).get(series) ?? 0
    for (const [n, ip] of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '198.51.100.1'].entries())
      expect((await attempt(`nobody-${n}`, ip)).status).toBe(401)
    expect((await failures()).map(({ ip, details }) => [ip, details['count']])).toEqual([
      ['192.0.2.1', 3],
      ['198.51.100.1', undefined],
    ])
    expect((await app.samples()).get(series)).toBe(before + 4)
  })

  it('of an account are a row each unless they are repeated from one network, and its owner reads how often', async () => {
    for (const ip of ['198.51.100.1', '203.0.113.1', '203.0.113.2'])
      await attempt(user.username, ip)
    expect((await failures()).map(({ ip, details }) => [ip, details['count']])).toEqual([
      ['198.51.100.1', undefined],
      ['203.0.113.1', 2],
    ])
    const page = await (await browser.get('/account/security')).text()
    expect(page).toContain('from 203.0.113.1, 2 times')
  })
})

it('shows administrators the counts: on the page, in the numbers, in what they take away', async () => {
  const admin = openBrowser(app)
  await admin.signIn((await addAdmin(app.database.db)).username)
  for (let n = 0; n < 3; n += 1) await browser.get('/admin')
  const page = await (await admin.get('/admin/audit?type=ACCESS_DENIED')).text()
  expect(page).toContain(`${user.username} was denied access to an administration page (3 times).`)
  const range = new URLSearchParams({
    from: new Date(app.now().getTime() - 60_000).toISOString(),
    to: new Date(app.now().getTime() + 60_000).toISOString(),
  })
  const stats = await admin.get(`/admin/audit/api/stats?${range}`)
  expect(await stats.json()).toMatchObject({ by_type: { ACCESS_DENIED: 3 } })
  const csv = await (await admin.get('/admin/audit/export?type=ACCESS_DENIED&format=csv')).text()
  expect(csv).toContain('""count"":3')
})

it('refuses all the same while the audit log cannot be written, and counts what is lost', async () => {
  const { db } = app.database
  const dropped = async () => (await app.samples()).get('audit_events_dropped_total') ?? 0
  const before = await dropped()
  await db.execute(sql`alter table audit_events rename to audit_events_away`)
  const { status } = await browser.get('/admin')
  await db.execute(sql`alter table audit_events_away rename to audit_events`)
  expect([status, (await dropped()) - before]).toEqual([403, 1])
})

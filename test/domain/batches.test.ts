/** What the sweeper does in batches reads no more than the batch, also of a table whose statistics are wrong. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '#/database/client.ts'
import { endLapsedSessions } from '#/domain/access-revocation/end-sessions.ts'
import { deleteOldAuditEvents } from '#/domain/audit/delete-old.ts'
import { deleteExpiredCodes } from '#/domain/authorization-codes/authorization-codes.ts'
import { deleteExpiredRequests } from '#/domain/authorization-requests/authorization-requests.ts'
import { deleteOldDeviceCodes, expireDeviceCodes } from '#/domain/device-codes/device-codes.ts'
import { deleteUsedProofs } from '#/domain/proofs/used-proofs.ts'
import { deleteEndedSessions } from '#/domain/sessions/sessions.ts'
import { deleteDeadTokens } from '#/domain/tokens/tokens.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

const rows = 5000
const limit = 200
const now = new Date()

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
  await seed()
}, 120_000)
afterAll(() => database.close())

/** Each table is analyzed while it holds one row that no batch wants, and has then grown. */
async function seed() {
  const run = (text: string) => database.db.execute(sql.raw(text))
  await run(
    `insert into users (username, email, is_active, auth_source, full_name) values ('u', 'u@example.test', true, 'local', 'U')`,
  )
  await run(`insert into clients (client_id, name, type, status, token_endpoint_auth_method, redirect_uris, grant_types, scope)
      values ('c', 'C', 'public', 'active', 'none', array['https://app.example.test/callback'], array['authorization_code'], 'openid')`)
  for (const [table, insert] of Object.entries(inserts)) {
    await run(`alter table ${table} set (autovacuum_enabled = false)`)
    await run(insert('1', "interval '1 hour'", true))
    await run(`analyze ${table}`)
    await run(insert(String(rows), "interval '-2 days'", false))
  }
}

type Insert = (count: string, from: string, first: boolean) => string

const inserts: Record<string, Insert> = {
  sessions: (count, from, first) =>
    `insert into sessions (id, user_id, login_source, remembered, browser, platform, ip, created_at, last_seen_at, expires_at, ended_at, end_reason)
     select gen_random_uuid(), u.id, 'local', false, 'Firefox', 'Linux', '192.0.2.1', now() - interval '3 days', now() - interval '3 days', now() + ${from},
       case when ${first} or n % 2 = 0 then now() + ${from} end, case when ${first} or n % 2 = 0 then 'logout' end
     from generate_series(1, ${count}) n, users u`,
  tokens: (count, from, first) =>
    `insert into tokens (id, type, family_id, client_id, user_id, scope, created_at, expires_at, revoked_at, revocation_reason)
     select gen_random_uuid(), 'access', gen_random_uuid(), 'c', u.id, 'openid', now() - interval '3 days', now() + ${from},
       case when ${first} or n % 100 = 0 then now() + ${from} end, case when ${first} or n % 100 = 0 then 'rotation' end
     from generate_series(1, ${count}) n, users u`,
  device_codes: (count, from, first) =>
    `insert into device_codes (id, device_code_hash, user_code_hash, client_id, scope, ip, requester, family_id, interval_seconds, status, created_at, expires_at)
     select gen_random_uuid(), 'd' || n || ${first}, 'u' || n || ${first}, 'c', 'openid', '192.0.2.1', 'curl', gen_random_uuid(), 5,
       case when ${first} or n % 2 = 0 then 'redeemed' else 'pending' end, now() - interval '3 days', now() + ${from}
     from generate_series(1, ${count}) n`,
  used_proofs: (count, from, first) =>
    `insert into used_proofs (key, expires_at) select 'k' || n || ${first}, now() + ${from} from generate_series(1, ${count}) n`,
  audit_events: (count, from) =>
    `insert into audit_events (at, type, severity, success) select now() + ${from}, 'TOKEN_REFRESHED', 'info', true from generate_series(1, ${count}) n`,
}

/** Rows of the table that one batch reads, however it finds them, and how many it has dealt with. */
async function costOf(table: string, batch: (tx: Database) => Promise<number>) {
  return database.db.transaction(async (tx) => {
    const done = await batch(tx)
    const [read] = await tx
      .select({ rows: sql<string>`seq_tup_read + coalesce(idx_tup_fetch, 0)` })
      .from(sql`pg_stat_xact_user_tables`)
      .where(sql`relname = ${table}`)
    return { done, read: Number(read?.rows) }
  })
}

describe('one batch of', () => {
  const cases: Record<string, { table: string; batch: (tx: Database) => Promise<number> }> = {
    'lapsed sessions': {
      table: 'sessions',
      batch: async (tx) => (await endLapsedSessions(tx, { now, limit })).length,
    },
    'ended sessions': { table: 'sessions', batch: (tx) => deleteEndedSessions(tx, now, limit) },
    'dead tokens': { table: 'tokens', batch: (tx) => deleteDeadTokens(tx, now, limit) },
    'overdue device codes': {
      table: 'device_codes',
      batch: (tx) => expireDeviceCodes(tx, now, limit),
    },
    'used proofs': { table: 'used_proofs', batch: (tx) => deleteUsedProofs(tx, now, limit) },
    'old audit events': {
      table: 'audit_events',
      batch: (tx) => deleteOldAuditEvents(tx, now, limit),
    },
  }
  for (const [name, { table, batch }] of Object.entries(cases))
    it(`${name} reads few rows more than it deals with`, async () => {
      const { done, read } = await costOf(table, batch)
      expect(done).toBe(limit)
      expect(read).toBeGreaterThanOrEqual(limit)
      expect(read).toBeLessThanOrEqual(4 * limit)
    })

  it('old device codes reads as many more as are still to be ended', async () => {
    const { done, read } = await costOf('device_codes', (tx) =>
      deleteOldDeviceCodes(tx, now, limit),
    )
    expect(done).toBe(limit)
    expect(read).toBeLessThanOrEqual(6 * limit)
  })

  it('nothing is none', async () => {
    expect(await deleteExpiredCodes(database.db, now, limit)).toBe(0)
    expect(await deleteExpiredRequests(database.db, now, limit)).toBe(0)
  })
})

it('a batch gives up by itself, and leaves the connection as it was', async () => {
  const setting = async (tx: Database) =>
    (
      await tx
        .select({
          value: sql<string>`current_setting('statement_timeout') || current_setting('enable_sort')`,
        })
        .from(sql`(select 1) one`)
    )[0]?.value
  const before = await setting(database.db)
  await database.db.transaction(async (tx) => {
    await deleteUsedProofs(tx, new Date(0), limit)
    expect(await setting(tx)).toBe('10soff')
  })
  expect(await setting(database.db)).toBe(before)
})

/** The COUNTs behind the gauges are answered by indexes, with the planner left as it is. */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditCountsQuery, auditEventsQuery } from '#/domain/audit/find-events.ts'
import {
  clientsQuery,
  consentsQuery,
  deviceCodesQuery,
  sessionsQuery,
  tokensQuery,
  usersQuery,
} from '#/domain/entity-counts/entity-counts.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
  await seed()
}, 120_000)
afterAll(() => database.close())

/** Selective, as real tables are: few live rows among many that have ended, few disabled users, few pending clients. */
async function seed() {
  const statements = [
    sql`insert into users (username, email, is_active, auth_source, full_name)
        select 'u' || n, 'u' || n || '@example.test', n % 50 <> 0, (array['local','http_api','oauth'])[1 + n % 3], repeat('name ', 20)
        from generate_series(1, 40000) n`,
    sql`insert into clients (client_id, name, type, status, token_endpoint_auth_method, redirect_uris, grant_types, scope)
        select 'c' || n, repeat('client ', 30), 'public', case when n % 200 = 0 then 'pending' when n % 100 = 0 then 'inactive' else 'active' end,
               'none', array['https://app.example.test/callback'], array['authorization_code'], 'openid'
        from generate_series(1, 20000) n`,
    sql`insert into sessions (id, user_id, login_source, remembered, browser, platform, ip, created_at, last_seen_at, expires_at, idle_expires_at, ended_at, end_reason)
        select gen_random_uuid(), u.id, 'local', false, 'Firefox', 'Linux', '192.0.2.1', now() - interval '2 days', now(), now() + interval '1 hour', now() + interval '20 minutes',
               case when n % 40 = 0 then null else now() end, case when n % 40 = 0 then null else 'logout' end
        from generate_series(1, 2) n, users u where n = 1 or u.is_active`,
    sql`update sessions set ended_at = null, end_reason = null where id in (select id from sessions order by id limit 1500)`,
    sql`insert into tokens (id, type, secret_hash, family_id, client_id, user_id, scope, created_at, expires_at, revoked_at, revocation_reason)
        select gen_random_uuid(), case when n % 2 = 0 then 'access' else 'refresh' end, case when n % 2 = 0 then null else 'h' || n || u.username end, gen_random_uuid(), 'c1', u.id, 'openid', now(),
               now() + interval '1 hour', case when n = 3 and u.is_active and u.username like 'u1%' then null else now() end, case when n = 3 and u.is_active and u.username like 'u1%' then null else 'rotation' end
        from generate_series(1, 3) n, users u`,
    sql`insert into consents (user_id, client_id, scope, granted_at, revoked_at)
        select u.id, 'c' || n, 'openid', now(), case when n = 1 and u.username like 'u2%' then null else now() end from generate_series(1, 3) n, users u`,
    sql`insert into device_codes (id, device_code_hash, user_code_hash, client_id, scope, ip, requester, family_id, interval_seconds, status, created_at, expires_at)
        select gen_random_uuid(), 'd' || n, 'u' || n, 'c' || n, 'openid', '192.0.2.1', 'curl', gen_random_uuid(), 5,
               case when n % 20 <> 0 then 'redeemed' when n % 40 = 0 then 'pending' else 'approved' end, now(),
               now() + case when n % 3 = 0 then interval '10 minutes' else interval '-1 minute' end
        from generate_series(1, 20000) n`,
    sql`insert into audit_events (at, type, severity, success, actor_user_id)
        select now() - n * interval '1 second', case when n % 500 = 0 then 'USER_DISABLED' else 'TOKEN_REFRESHED' end, 'info', true,
               'actor-' || n % 200
        from generate_series(1, 60000) n`,
  ]
  for (const statement of statements) await database.db.execute(statement)
  const tables = [
    'users',
    'clients',
    'sessions',
    'tokens',
    'consents',
    'device_codes',
    'audit_events',
  ]
  for (const table of tables) {
    await database.db.execute(sql`vacuum analyze ${sql.identifier(table)}`)
  }
}

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly Plans?: readonly Plan[]
}

async function explain(query: { getSQL(): ReturnType<typeof sql> }): Promise<Plan[]> {
  const answer: unknown = await database.db.execute(sql`explain (format json) ${query.getSQL()}`)
  const rows = (Array.isArray(answer) ? answer : (answer as { rows: unknown[] }).rows) as {
    'QUERY PLAN': [{ Plan: Plan }]
  }[]
  const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)]
  return rows.flatMap((row) => nodes(row['QUERY PLAN'][0].Plan))
}

describe('the plan of each population count', () => {
  const now = new Date()
  const cases = {
    users: { query: () => usersQuery(database.db), indexes: ['idx_users_active_source'] },
    clients: { query: () => clientsQuery(database.db), indexes: ['idx_clients_status'] },
    sessions: {
      query: () => sessionsQuery(database.db, now),
      indexes: ['sessions_live', 'users_inactive'],
    },
    tokens: {
      query: () => tokensQuery(database.db, now),
      indexes: ['tokens_live', 'users_inactive'],
    },
    'device codes': {
      query: () => deviceCodesQuery(database.db, now),
      indexes: ['device_codes_open', 'clients_not_active'],
    },
    consents: { query: () => consentsQuery(database.db), indexes: ['consents_in_force'] },
  }
  for (const [name, { query, indexes }] of Object.entries(cases)) {
    it(`reads ${name} through ${indexes.join(' and ')}, and no table row by row`, async () => {
      const plan = await explain(query())
      expect(plan.flatMap((node) => node['Index Name'] ?? [])).toEqual(
        expect.arrayContaining(indexes),
      )
      const scanned = plan
        .filter((node) => node['Node Type'] === 'Seq Scan')
        .map((node) => node['Relation Name'])
      expect(scanned).toEqual([])
    })
  }
})

describe('the plan of each question to the audit log', () => {
  const limit = 51
  const now = Date.now()
  const hour = { from: new Date(now - 3_600_000), to: new Date(now) }
  const after = { at: new Date(now - 30_000_000).toISOString(), id: 30_000 }
  const page = (filter: Parameters<typeof auditEventsQuery>[1], more = {}) =>
    auditEventsQuery(database.db, filter, { limit, ...more })
  const cases = {
    'the newest page': { query: () => page({}), index: 'audit_events_at' },
    'a later page': { query: () => page({}, { after }), index: 'audit_events_at' },
    'a time': { query: () => page(hour), index: 'audit_events_at' },
    'a type': { query: () => page({ type: 'USER_DISABLED' }), index: 'audit_events_type' },
    'an actor': {
      query: () => page({ actorUserId: 'actor-3' }),
      index: 'audit_events_actor',
    },
    'the counts': { query: () => auditCountsQuery(database.db, hour), index: 'audit_events_type' },
  }
  for (const [name, { query, index }] of Object.entries(cases)) {
    it(`reads ${name} through ${index}, and sorts no more than one moment`, async () => {
      const plan = await explain(query())
      expect(plan.flatMap((node) => node['Index Name'] ?? [])).toContain(index)
      const nodes = plan.map((node) => node['Node Type'])
      expect(nodes).not.toContain('Seq Scan')
      expect(nodes).not.toContain('Sort')
    })
  }
})

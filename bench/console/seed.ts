/** A company of a given size: accounts, apps, what they were given, and years of an audit log. */
import postgres from 'postgres'

export interface ConsoleSize {
  readonly users: number
  readonly clients: number
  readonly tokens: number
  readonly auditEvents: number
}

/** Fills the tables of a started server; answers how long it took, in seconds. */
export async function seedConsole(database: string, size: ConsoleSize): Promise<number> {
  const start = performance.now()
  const client = postgres(database, { max: 1, onnotice: () => {} })
  try {
    // The rows fit together by themselves: nothing looks up what they refer to.
    await client.unsafe('set session_replication_role = replica; set synchronous_commit = off')
    for (const statement of statements(size)) await client.unsafe(statement)
  } finally {
    await client.end()
  }
  return (performance.now() - start) / 1000
}

const user = (n: string, { users }: ConsoleSize) => `md5('user ' || (1 + (${n}) % ${users}))::uuid`
const app = (n: string, { clients }: ConsoleSize) =>
  `md5('client ' || (1 + (${n}) % ${clients}))::uuid::text`

function statements(size: ConsoleSize): readonly string[] {
  const { users, clients, tokens, auditEvents } = size
  const sessions = Math.ceil(users / 5)
  return [
    // One in a hundred is disabled, one in ten comes from elsewhere.
    `insert into users (id, username, email, auth_source, is_active, created_at)
     select md5('user ' || n)::uuid, 'user-' || n, 'user-' || n || '@example.test',
       case when n % 10 = 0 then 'oauth' else 'local' end, n % 100 <> 0, now() - n * interval '1 minute'
     from generate_series(1, ${users}) n`,
    `insert into identities (user_id, source, issuer, subject, label, created_at, last_used_at)
     select md5('user ' || n)::uuid, 'github', 'https://github.com', n::text, 'user-' || n, now(), now()
     from generate_series(10, ${users}, 10) n`,
    `insert into clients (client_id, name, type, status, token_endpoint_auth_method, redirect_uris, grant_types,
       scope, owner_id, created_at)
     select md5('client ' || n)::uuid::text, 'App ' || n, 'public',
       case when n % 500 = 0 then 'pending' when n % 50 = 0 then 'inactive' else 'active' end, 'none',
       array['https://app-' || n || '.example.test/callback'], array['authorization_code', 'refresh_token'],
       'openid profile', ${user('n', size)}, now() - n * interval '1 hour'
     from generate_series(1, ${clients}) n`,
    // Half of them have ended.
    `insert into sessions (id, user_id, login_source, remembered, browser, platform, ip, created_at, last_seen_at,
       expires_at, ended_at, end_reason)
     select md5('session ' || n)::uuid, ${user('n', size)}, 'local', true, 'Firefox', 'Linux', '192.0.2.1',
       now() - n * interval '1 second', now(), now() + interval '30 days',
       case when n % 2 = 0 then now() end, case when n % 2 = 0 then 'logout' end
     from generate_series(1, ${sessions}) n`,
    `insert into consents (user_id, client_id, scope, granted_at)
     select ${user('n', size)}, ${app('n', size)}, 'openid profile', now() - n * interval '1 second'
     from generate_series(1, ${Math.ceil(tokens / 4)}) n
     on conflict do nothing`,
    // Access and refresh tokens by turns; two in five were revoked.
    `insert into tokens (id, type, secret_hash, family_id, client_id, user_id, scope, created_at, expires_at,
       revoked_at, revocation_reason)
     select md5('token ' || n)::uuid, case when n % 2 = 0 then 'refresh' else 'access' end,
       case when n % 2 = 0 then md5('secret ' || n) end, md5('family ' || n / 2)::uuid, ${app('n / 2', size)},
       ${user('n / 2', size)}, 'openid profile', now() - n * interval '1 second', now() + interval '1 hour' + n * interval '20 milliseconds',
       case when n % 5 < 2 then now() end, case when n % 5 < 2 then 'rotation' end
     from generate_series(1, ${tokens}) n`,
    // In the order in which they happened, one a second. Few of them failed.
    `insert into audit_events (at, type, severity, success, actor_user_id, actor_name, client_id, resource_type,
       resource_id, ip, user_agent)
     select now() - (${auditEvents} - n) * interval '1 second',
       (array['AUTHENTICATION_SUCCESS', 'AUTHENTICATION_FAILURE', 'TOKEN_REFRESHED', 'LOGOUT'])[1 + n % 4],
       case when n % 1000 = 1 then 'critical' when n % 4 = 1 then 'warning' else 'info' end, n % 4 <> 1,
       ${user('n', size)}::text, 'user-' || (1 + n % ${users}), ${app('n', size)}, 'user', ${user('n', size)}::text,
       '192.0.2.' || n % 250, 'Mozilla/5.0'
     from generate_series(1, ${auditEvents}) n`,
    'vacuum analyze',
  ]
}

/** A database of a given size, made by its own SQL, and gone afterwards. */
import postgres from 'postgres'

export interface Size {
  readonly users: number
  /** Live; as many tokens of each type and as many consents go with them. */
  readonly sessions: number
}

/** Creates a database on that server, and drops it whatever happens. */
export async function withDatabase(
  url: string,
  use: (database: string) => Promise<void>,
): Promise<void> {
  const name = `authgate_bench_${crypto.randomUUID().replaceAll('-', '')}`
  await statement(url, `create database ${name}`)
  const database = new URL(url)
  database.pathname = `/${name}`
  const drop = () => statement(url, `drop database ${name} with (force)`)
  toDrop.add(drop)
  try {
    await use(database.href)
  } finally {
    toDrop.delete(drop)
    await drop()
  }
}

const toDrop = new Set<() => Promise<void>>()

/** Drops at once what is in use, for an end before the end. */
export async function dropDatabases(): Promise<void> {
  await Promise.allSettled([...toDrop].map((drop) => drop()))
}

/** Fills the tables of a started server; answers how long it took, in seconds. */
export async function seed(database: string, { users, sessions }: Size): Promise<number> {
  const start = performance.now()
  const statements = [
    // One in a hundred is disabled, one in ten comes from elsewhere. Those with sessions are neither.
    `insert into users (id, username, email, auth_source, is_active)
     select md5('user ' || n)::uuid, 'user-' || n, 'user-' || n || '@example.test',
       case when n % 10 = 0 then 'oauth' else 'local' end, n <= ${sessions} or n % 100 <> 0
     from generate_series(1, ${users}) n`,
    `insert into sessions (id, user_id, login_source, remembered, browser, platform, ip,
       created_at, last_seen_at, expires_at, idle_expires_at)
     select md5('session ' || n)::uuid, md5('user ' || n)::uuid, 'local', n % 3 = 0, 'Firefox', 'Linux',
       '192.0.2.1', now(), now(), now() + interval '12 hours',
       case when n % 3 = 0 then null else now() + interval '6 hours' end
     from generate_series(1, ${sessions}) n`,
    `insert into tokens (id, type, secret_hash, family_id, client_id, user_id, scope, created_at, expires_at)
     select md5(kind || n)::uuid, kind, case when kind = 'refresh' then md5(kind || n) end,
       md5('family ' || n)::uuid, (select min(client_id) from clients), md5('user ' || n)::uuid, 'openid',
       now(), now() + interval '12 hours'
     from generate_series(1, ${sessions}) n, unnest(array['access', 'refresh']) kind`,
    `insert into consents (user_id, client_id, scope, granted_at)
     select md5('user ' || n)::uuid, (select min(client_id) from clients), 'openid', now()
     from generate_series(1, ${sessions}) n`,
    'vacuum analyze',
  ]
  for (const sql of statements) await statement(database, sql)
  return (performance.now() - start) / 1000
}

async function statement(url: string, sql: string): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  try {
    await client.unsafe(sql)
  } finally {
    await client.end()
  }
}

/** Where oidc-provider keeps what it issues: one table of payloads, each found by its id, some by another key, too. */
import type postgres from 'postgres'

interface Payload {
  readonly grantId?: string
  readonly uid?: string
  readonly userCode?: string
  readonly consumed?: number
}

/** With accounts of everybody called `person-…`. */
export async function createTables(sql: postgres.Sql): Promise<void> {
  await sql`
    create table models (
      type text not null,
      id text not null,
      payload jsonb not null,
      grant_id text,
      uid text,
      user_code text,
      expires_at timestamptz,
      primary key (type, id)
    )`
  await sql`create index on models (grant_id)`
  await sql`create index on models (uid) where uid is not null`
  await sql`create table accounts (name text primary key, claims jsonb not null)`
  await sql`
    insert into accounts
    select 'person-' || n, jsonb_build_object('name', 'Person ' || n, 'preferred_username', 'person-' || n,
      'email', 'person-' || n || '@example.test', 'email_verified', false, 'updated_at', 1700000000)
    from generate_series(0, 99) n`
}

/** What its constructor calls for each of its models. */
export const postgresAdapter = (sql: postgres.Sql) => (type: string) => {
  const only = (rows: readonly { payload: Payload }[]) => rows[0]?.payload
  return {
    async upsert(id: string, payload: Payload, expiresIn: number | undefined) {
      const { grantId = null, uid = null, userCode = null } = payload
      const expiresAt = expiresIn === undefined ? null : new Date(Date.now() + expiresIn * 1000)
      await sql`
        insert into models (type, id, payload, grant_id, uid, user_code, expires_at)
        values (${type}, ${id}, ${sql.json(payload as postgres.JSONValue)}, ${grantId}, ${uid}, ${userCode}, ${expiresAt})
        on conflict (type, id) do update set payload = excluded.payload, grant_id = excluded.grant_id,
          uid = excluded.uid, user_code = excluded.user_code, expires_at = excluded.expires_at`
    },
    find: async (id: string) =>
      only(await sql`select payload from models where type = ${type} and id = ${id}`),
    findByUid: async (uid: string) =>
      only(await sql`select payload from models where type = ${type} and uid = ${uid}`),
    findByUserCode: async (userCode: string) =>
      only(await sql`select payload from models where type = ${type} and user_code = ${userCode}`),
    async consume(id: string) {
      const consumed = Math.floor(Date.now() / 1000)
      await sql`
        update models set payload = payload || ${sql.json({ consumed })}
        where type = ${type} and id = ${id}`
    },
    async destroy(id: string) {
      await sql`delete from models where type = ${type} and id = ${id}`
    },
    async revokeByGrantId(grantId: string) {
      await sql`delete from models where grant_id = ${grantId}`
    },
  }
}

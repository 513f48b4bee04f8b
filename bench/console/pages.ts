/** The pages of the console, with the searches and filters that people use, and pages far behind the first. */
import type postgres from 'postgres'
import type { ConsoleSize } from './seed.ts'

/** What it is, and its address. */
export async function pagesOf(
  sql: postgres.Sql,
  { users }: ConsoleSize,
): Promise<readonly (readonly [string, string])[]> {
  const [found] = await sql<{ cursor: string; user: string; client: string; from: string }[]>`
    select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '_' || id as cursor,
      actor_user_id as user, client_id as client,
      to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI') as from
    from audit_events where id >= (select max(id) / 2 from audit_events)
    order by id limit 1`
  if (!found) throw new Error('the audit log is empty')
  const { cursor, user, client, from } = found
  const audit = (filter: Record<string, string> = {}) =>
    `/admin/audit?${new URLSearchParams(filter)}`
  return [
    ['users', '/admin/users'],
    ['users, far behind', `/admin/users?after=user-${Math.ceil(users * 0.7)}`],
    ['users, one found', `/admin/users?search=user-${users - 1}`],
    ['users, many found', '/admin/users?search=user-1'],
    ['users, many found, far behind', '/admin/users?search=user-1&after=user-19'],
    ['users, nobody found', '/admin/users?search=zz'],
    ['clients', '/admin/clients'],
    ['one client', `/admin/clients/${client}`],
    ['who let it in', `/admin/clients/${client}/authorizations`],
    ['client, its form', `/admin/clients/${client}/edit`],
    ['overview', '/admin'],
    ['one account', `/admin/users/${user}`],
    ['tokens', '/admin/tokens'],
    ['tokens of one client', `/admin/tokens?client=${client}`],
    ['tokens of one account', `/admin/tokens?user=${user}`],
    ['audit log', audit()],
    ['audit log, far behind', audit({ after: cursor })],
    ['audit log, one type', audit({ type: 'AUTHENTICATION_FAILURE' })],
    ['audit log, one type, far behind', audit({ type: 'AUTHENTICATION_FAILURE', after: cursor })],
    ['audit log, a type that never was', audit({ type: 'CLIENT_REJECTED' })],
    ['audit log, critical', audit({ severity: 'critical' })],
    ['audit log, failures', audit({ failures: 'only' })],
    ['audit log, one actor', audit({ actor: user })],
    ['audit log, one client', audit({ client })],
    ['audit log, one resource', audit({ resource: user })],
    ['audit log, one address', audit({ ip: '192.0.2.7' })],
    ['audit log, an address that never was', audit({ ip: '198.51.100.1' })],
    ['audit log, a time long ago', audit({ to: from })],
    ['audit log as JSON', '/admin/audit/api'],
    ['audit log, its numbers', '/admin/audit/api/stats'],
  ]
}

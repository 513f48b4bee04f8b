/**
 * Indexes that came to tables which may be large by then. A migration would lock out writing while it builds one, so these
 * are built CONCURRENTLY, after the migrations and outside of their transaction; the schema declares them like all others.
 */
import type { PGlite } from '@electric-sql/pglite'
import type postgres from 'postgres'

/** Name -> what it is on. Dropping one by hand rolls it back until the next start. */
const lateIndexes = {
  audit_events_client: 'audit_events (client_id, at) where client_id is not null',
  audit_events_failed: 'audit_events (at) where not success',
  audit_events_ip: 'audit_events (ip, at) where ip is not null',
  audit_events_notable: "audit_events (severity, at) where severity <> 'info'",
  audit_events_resource: 'audit_events (resource_id, at) where resource_id is not null',
  clients_forgotten:
    "clients (updated_at) where status = 'pending' and registration_token_hash is not null",
  clients_name: 'clients (lower(name) collate "C", client_id)',
  clients_status_name: 'clients (status, lower(name) collate "C", client_id)',
  consents_of_client: 'consents (client_id, granted_at, id) where revoked_at is null',
  consents_withdrawn: 'consents (revoked_at) where revoked_at is not null',
  tokens_client: 'tokens (client_id)',
  tokens_origin: 'tokens (origin_client_id) where origin_client_id is not null',
  users_by_email: 'users (lower(email) collate "C")',
  users_by_full_name: 'users (lower(full_name) collate "C")',
  users_by_username: 'users (username collate "C")',
} as const

/** A build that was broken off leaves an index that is kept up to date but never used: it is dropped, and built again. */
export async function buildLateIndexes(client: postgres.Sql): Promise<void> {
  for (const [name, on] of Object.entries(lateIndexes)) {
    const [index] = await client<{ valid: boolean }[]>`
      select indisvalid as valid from pg_index where indexrelid = to_regclass(${name})`
    if (index?.valid) continue
    if (index) await client.unsafe(`drop index concurrently "${name}"`)
    await client.unsafe(`create index concurrently "${name}" on ${on}`)
  }
}

/** Nobody else writes to an embedded database. */
export async function buildLateIndexesEmbedded(client: Pick<PGlite, 'exec'>): Promise<void> {
  for (const [name, on] of Object.entries(lateIndexes))
    await client.exec(`create index if not exists "${name}" on ${on}`)
}

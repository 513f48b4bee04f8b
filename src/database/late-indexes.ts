/**
 * Indexes that came to tables which may be large by then. A migration would lock out writing while it builds one, so these
 * are built CONCURRENTLY while the server serves already, by one replica; the schema declares them like all others.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { PGlite } from '@electric-sql/pglite'
import type postgres from 'postgres'
import type { Log } from '#/telemetry/log.ts'
import { logChanges } from '#/telemetry/log-changes.ts'
import { tryHoldingLock } from './advisory-lock.ts'
import { checkSchema } from './compatibility.ts'
import type { DriverOptions } from './connection.ts'
import { openWorkClient, type WorkClient } from './work-client.ts'

/** Name -> what it is on. Dropping one by hand rolls it back until the next start. */
export const lateIndexes = {
  audit_events_client: 'audit_events (client_id, at) where client_id is not null',
  audit_events_failed: 'audit_events (at) where not success',
  audit_events_ip: 'audit_events (ip, at) where ip is not null',
  audit_events_notable: "audit_events (severity, at) where severity <> 'info'",
  audit_events_resource: 'audit_events (resource_id, at) where resource_id is not null',
  clients_forgotten:
    "clients (updated_at) where status = 'pending' and registration_token_hash is not null",
  clients_name: 'clients (lower(name) collate "C", client_id)',
  clients_skeleton: 'clients (name_skeleton)',
  clients_status_name: 'clients (status, lower(name) collate "C", client_id)',
  consents_of_client: 'consents (client_id, granted_at, id) where revoked_at is null',
  consents_withdrawn: 'consents (revoked_at) where revoked_at is not null',
  tokens_client: 'tokens (client_id)',
  tokens_of_session: 'tokens (session_id) where ends_with_session and revoked_at is null',
  tokens_origin: 'tokens (origin_client_id) where origin_client_id is not null',
  tokens_parent: 'tokens (parent_id) where parent_id is not null',
  users_by_email: 'users (lower(email) collate "C")',
  users_by_full_name: 'users (lower(full_name) collate "C")',
  users_by_username: 'users (username collate "C")',
} as const

/** Any number but those of migrations and key rotation, the same for every version of this server. */
const buildLock = 7_264_003

/** Another replica may take hours over it. */
const busyPauseMs = 5000
const failedPauseMs = 60_000

export interface LateIndexes {
  /** Settles when all are there, or building was stopped. */
  readonly built: Promise<void>
  /** Cancels the index that is being built; the next start builds it again. */
  stop(): Promise<void>
}

/** Builds missing indexes in the background and retries after a failure. */
export function startLateIndexes(
  options: DriverOptions,
  log: Pick<Log, 'info' | 'error'>,
): LateIndexes {
  const clients = { lock: openWorkClient(options), builder: openWorkClient(options) }
  const stopping = new AbortController()
  const { signal } = stopping
  const built = buildAndClose(clients, { signal, log })
  return {
    built,
    async stop() {
      stopping.abort()
      // Postgres finishes a statement whose client has gone unless it is cancelled.
      await closeAll(clients)
      await built
    },
  }
}

interface Clients {
  readonly lock: WorkClient
  readonly builder: WorkClient
}

const closeAll = ({ lock, builder }: Clients) => Promise.all([lock.close(0), builder.close(0)])

interface Watched {
  readonly signal: AbortSignal
  readonly log: Pick<Log, 'info' | 'error'>
}

async function buildAndClose(clients: Clients, watched: Watched): Promise<void> {
  try {
    await buildUntilDone(clients, watched)
  } finally {
    await closeAll(clients)
  }
}

async function buildUntilDone(clients: Clients, { signal, log }: Watched): Promise<void> {
  const watch = logChanges(log, 'building indexes')
  while (!signal.aborted) {
    try {
      if (await buildLateIndexes(clients, signal)) return watch.worked()
      await pause(busyPauseMs, signal)
    } catch (error) {
      if (signal.aborted) return
      watch.failed(error)
      await pause(failedPauseMs, signal)
    }
  }
}

const pause = (ms: number, signal: AbortSignal) =>
  sleep(ms, undefined, { signal }).catch(() => undefined)

/** Whether all are there now, or not ours to build; false while another replica builds. */
async function buildLateIndexes(clients: Clients, signal: AbortSignal): Promise<boolean> {
  const builder = clients.builder.client
  if ((await checkSchema((statement) => builder.unsafe(statement))) !== 'ours') return true
  if ((await missingIndexes(builder)).length === 0) return true
  return tryHoldingLock(clients.lock.client, buildLock, async () => {
    // A large table takes its time, whatever limit the role or the database has.
    await builder.unsafe('set statement_timeout = 0')
    for (const { name, on, brokenOff } of await missingIndexes(builder)) {
      signal.throwIfAborted()
      if (brokenOff) await builder.unsafe(`drop index concurrently "${name}"`)
      await builder.unsafe(`create index concurrently "${name}" on ${on}`)
    }
    // Behind a pooler another client uses the session afterwards.
    await builder.unsafe('reset statement_timeout')
  })
}

/** A build that was broken off leaves an index that is kept up to date but never used: it is dropped, and built again. */
async function missingIndexes(client: postgres.Sql) {
  const names = Object.keys(lateIndexes).map((name) => `to_regclass('${name}')`)
  const rows = await client.unsafe<{ name: string; valid: boolean }[]>(`
    select c.relname as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.oid in (${names.join(', ')})`)
  const validity = new Map(rows.map(({ name, valid }) => [name, valid]))
  return Object.entries(lateIndexes)
    .filter(([name]) => validity.get(name) !== true)
    .map(([name, on]) => ({ name, on, brokenOff: validity.has(name) }))
}

/** No other process writes to an embedded database. */
export async function buildLateIndexesEmbedded(client: Pick<PGlite, 'exec'>): Promise<void> {
  for (const [name, on] of Object.entries(lateIndexes))
    await client.exec(`create index if not exists "${name}" on ${on}`)
}

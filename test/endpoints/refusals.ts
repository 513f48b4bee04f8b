/** What a refused request must leave behind: the same rows, and exactly the series that say it was refused. */
import { sql } from 'drizzle-orm'
import { expect } from 'vitest'
import type { TestApp } from '../support/app.ts'
import { movedBetween } from '../support/prometheus.ts'

/** Everything but the audit log, which may tell of a refusal. */
const tables = [
  'users',
  'identities',
  'clients',
  'sessions',
  'consents',
  'authorization_requests',
  'authorization_codes',
  'tokens',
  'signing_keys',
  'used_proofs',
  'server_secrets',
  'session_clients',
  'logout_deliveries',
  'device_codes',
] as const

/** Count and digest of each table's rows; when a session was last seen does not belong to its state. */
export async function stateOf(app: TestApp): Promise<Record<string, unknown>> {
  const rows = rowsOf(await app.database.db.execute(state))
  return Object.fromEntries(rows.map(({ name, ...digest }) => [String(name), digest]))
}

const state = sql.raw(
  tables
    .map(
      (table) =>
        `select '${table}' as name, count(*)::int as n, md5(string_agg(r, '|' order by r)) as digest
         from (select (to_jsonb(t) - 'last_seen_at' - 'idle_expires_at' - 'lapses_at')::text as r from ${table} t) x`,
    )
    .join(' union all '),
)

/** Domain events; how long things took, what HTTP and the database did and who uses PKCE is told elsewhere. */
const events =
  /^(oauth_|authgate_(token_introspections|token_exchanges|authorization(?!_requests_without_pkce)|consent|device_codes|dpop|outbound_requests|oauth_|client_|login|logout|rate_limit)|sessions_|auth_|rate_limit_|audit_)/

interface Observed<T> {
  readonly result: T
  /** Counters and gauges of the domain that moved, by how much. */
  readonly moved: Record<string, number>
}

/** The domain series that a step moves. */
export async function observe<T>(app: TestApp, step: () => Promise<T>): Promise<Observed<T>> {
  const before = await app.samples()
  const result = await step()
  const all = movedBetween(before, await app.samples(), events)
  const moved = Object.entries(all).filter(
    ([series]) => !/_(bucket|sum|seconds_count)/.test(series),
  )
  return { result, moved: Object.fromEntries(moved) }
}

/** The same, for a step that must not change a row. */
export async function observeUnchanged<T>(
  app: TestApp,
  step: () => Promise<T>,
): Promise<Observed<T>> {
  const before = await stateOf(app)
  const observed = await observe(app, step)
  expect(await stateOf(app)).toEqual(before)
  return observed
}

/** One after the other; each of these must not change a row, so that one look at the rows will do for all. */
export async function observeAllUnchanged<T, R>(
  app: TestApp,
  things: readonly T[],
  step: (thing: T) => Promise<R>,
): Promise<Observed<R[]>> {
  return observeUnchanged(app, async () => {
    const results: R[] = []
    for (const thing of things) results.push(await step(thing))
    return results
  })
}

/** Rows of a raw query, whichever driver answers it. */
export function rowsOf(result: unknown): Record<string, unknown>[] {
  const rows = Array.isArray(result) ? result : (result as { rows: unknown[] }).rows
  return rows as Record<string, unknown>[]
}

/** How many events of one type the audit log tells of; a row may stand for several. */
export async function countAudit(app: TestApp, type: string): Promise<number> {
  const rows = await app.database.db.execute(
    sql`select coalesce(sum(coalesce((details ->> 'count')::int, 1)), 0)::int as n
        from audit_events where type = ${type}`,
  )
  return Number(rowsOf(rows)[0]?.['n'])
}

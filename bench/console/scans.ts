/** What the server's statements read, as Postgres counts it: no need to know the statements. */
import type postgres from 'postgres'

const large = ['users', 'clients', 'tokens', 'audit_events', 'sessions', 'consents', 'identities']

/** Table -> how often it was read from end to end, as far as connections have reported it. */
export async function readScans(sql: postgres.Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql<{ table: string; scans: string }[]>`
    select relname as table, seq_scan as scans from pg_stat_user_tables where relname = any(${large})`
  return new Map(rows.map(({ table, scans }) => [table, Number(scans)]))
}

export const scannedBetween = (
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): string[] =>
  [...after].filter(([table, scans]) => scans > (before.get(table) ?? 0)).map(([table]) => table)

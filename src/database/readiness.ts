/**
 * Whether the database can do what requests need of it: answer, and store something new. A replica that only reads, a
 * disk that is full: both answer every question.
 */
import type { Connection } from './connection.ts'
import { keepDatabaseTime } from './deadline.ts'
import { isWriteRefusal } from './errors.ts'
import type { Pool } from './pool.ts'

export interface Readiness {
  /** Never rejects; all who ask at the same time get one answer, within a second. */
  ready(): Promise<boolean>
}

export interface WriteRefusals {
  /** Whether the last write that reported was refused. */
  seen: boolean
}

const boundMs = 800

const state = `
  select (extract(epoch from clock_timestamp()) * 1000)::float8 as "now",
    pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as "readsOnly"`

/** More than fits into what tables have left over in their pages, so the files must grow; and is undone. */
const probeWrite = `
  insert into audit_events (at, type, severity, success, details)
  select now(), 'probe', 'info', true, jsonb_build_object('probe', string_agg(md5(random()::text), ''))
  from generate_series(1, 4000)`

/** Keeps in mind that the server refused a write, until one succeeds. */
export function noteRefusal(refusals: WriteRefusals, error: unknown): void {
  if (isWriteRefusal(error)) refusals.seen = true
}

export function createReadiness(pool: Pool, refusals: WriteRefusals): Readiness {
  let underway: Promise<boolean> | undefined
  async function check() {
    try {
      const lateAt = performance.now() + boundMs
      const ask = (connection: Connection) => takesWrites(connection, lateAt, refusals)
      return await pool.use(lateAt, ask, 'next')
    } catch {
      return false
    } finally {
      underway = undefined
    }
  }
  return {
    ready: () => {
      underway ??= check()
      return underway
    },
  }
}

async function takesWrites(connection: Connection, lateAt: number, refusals: WriteRefusals) {
  const [row] = await connection.run({ text: state }, lateAt)
  const { now, readsOnly } = row as { now: number; readsOnly: boolean }
  keepDatabaseTime(now, performance.now())
  if (readsOnly) return false
  if (refusals.seen) {
    await writeSomething(connection, lateAt)
    refusals.seen = false
  }
  return true
}

async function writeSomething(connection: Connection, lateAt: number) {
  await connection.run({ text: 'begin' }, lateAt)
  try {
    await connection.run({ text: probeWrite }, lateAt)
  } finally {
    if (!connection.isLost) await connection.run({ text: 'rollback' }, lateAt)
  }
}

/** Connections for the server's own work on the schema, which may take hours. */
import type postgres from 'postgres'
import type { DriverOptions } from './connection.ts'
import { openingBoundMs } from './connection.ts'
import { createPoolUse } from './instrument.ts'
import { createPool } from './pool.ts'
import { createClient } from './postgres-client.ts'

export interface WorkClient {
  readonly client: postgres.Sql
  /** Waits so long for what runs, and has the server break it off then. */
  close(boundMs: number): Promise<void>
}

/** A client of one connection, whose statements have all the time that the server gives them. */
export function openWorkClient(options: DriverOptions): WorkClient {
  const types = { parsers: {}, serializers: {} }
  const pool = createPool({
    driver: { options: { ...options, prepare: false }, types },
    size: 1,
    timeoutMs: Number.POSITIVE_INFINITY,
    openTimeoutMs: openingBoundMs(options),
    onChange: () => {},
  })
  const client = createClient(pool, { types, use: createPoolUse('main', 1), record: () => {} })
  return { client, close: pool.close }
}

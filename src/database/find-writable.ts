/** Which of several hosts takes writes: after a failover another one than before. */

import type { DriverOptions } from './connection.ts'
import { openConnection, openingBoundMs, runWithin } from './connection.ts'
import { type ConnectionTarget, type DatabaseHost, describeHost } from './connection-string.ts'
import { connectionError, isRefusal } from './errors.ts'

/** So many connections as a pool opens at once cost one look. */
const validMs = 1000

const asksWhetherItReads = `
  select pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as reads`

/**
 * Asks all hosts at the same time, since one that is gone may not answer at all; the first that writes wins. Rejects with
 * what each of them said.
 */
export function findWritable(
  { hosts }: Pick<ConnectionTarget, 'hosts'>,
  optionsFor: (place: DatabaseHost) => DriverOptions,
): () => Promise<DatabaseHost> {
  let last: { readonly at: number; readonly found: Promise<DatabaseHost> } | undefined
  return () => {
    if (last && performance.now() - last.at < validMs) return last.found
    const found = Promise.any(
      hosts.map((place) => requireWritable(place, optionsFor(place))),
    ).catch((error: unknown) => {
      last = undefined
      throw error instanceof AggregateError ? summary(error.errors) : error
    })
    last = { at: performance.now(), found }
    return found
  }
}

async function requireWritable(place: DatabaseHost, options: DriverOptions): Promise<DatabaseHost> {
  const boundMs = openingBoundMs(options)
  const driver = { options, types: { parsers: {}, serializers: {} } }
  const connection = await openConnection(driver, boundMs, () => {})
  try {
    const [row] = await runWithin(connection, { text: asksWhetherItReads }, boundMs)
    if ((row as { reads: boolean }).reads)
      throw connectionError(`${describeHost(place)} is read-only`)
    return place
  } finally {
    await connection.close()
  }
}

/** Where one refuses us, that is what an operator has to know; the others may just be down. */
function summary(errors: readonly unknown[]): unknown {
  const messages = errors.map((error) => (error instanceof Error ? error.message : String(error)))
  return (
    errors.find(isRefusal) ?? connectionError(`no host accepts writes (${messages.join('; ')})`)
  )
}

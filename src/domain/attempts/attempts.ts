/**
 * Attempts whose outcome nobody knows: the database was lost, or gave no answer in time, while it used up something that
 * works once. When it is back, what such an attempt has used up is given back, so that whoever tries again loses nothing.
 * This process alone knows that nobody can have heard of a success; what it had in mind ends with it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '#/database/client.ts'
import { withDeadline } from '#/database/deadline.ts'
import { isOutage } from '#/database/errors.ts'
import { span } from '#/telemetry/tracing.ts'

export interface Attempt {
  /** What it uses up. */
  readonly key: string
  /** Gives that back if it was this very attempt that used it up. */
  undo(tx: Database): Promise<Undone>
}

export interface Undone {
  readonly restored: boolean
  /** Whether the deadline of its statement has passed, so that it cannot happen later. */
  readonly over: boolean
}

/** A replica is itself, and never knows what another one has tried. */
const unsettled = new WeakMap<Database, Map<string, Set<Attempt>>>()

/** Runs an attempt, and keeps it in mind if nobody can say what became of it. */
export async function attempting<T>(
  db: Database,
  attempt: Attempt,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (isOutage(error)) undoInTime(db, attempt)
    throw error
  }
}

/** Undoes an attempt as soon as the database allows it. */
export function undoInTime(db: Database, attempt: Attempt): void {
  const attempts = unsettled.get(db) ?? new Map<string, Set<Attempt>>()
  const same = attempts.get(attempt.key) ?? new Set()
  unsettled.set(db, attempts.set(attempt.key, same.add(attempt)))
  // The request that began it is over, and its deadline with it.
  void withDeadline({ at: Number.POSITIVE_INFINITY }, () => keepTrying(db, attempt))
}

/** Undoes what is known to have been attempted with this key; answers whether anything was given back. */
export async function settleAttempts(db: Database, key: string): Promise<boolean> {
  let restored = false
  for (const attempt of unsettled.get(db)?.get(key) ?? [])
    restored = (await settle(db, attempt)) || restored
  return restored
}

const betweenTriesMs = 500
/** Longer than anything that works once, and is not a refresh token, lives; the memory of a long outage must end, too. */
const longestMs = 60 * 60 * 1000

async function keepTrying(db: Database, attempt: Attempt) {
  const end = performance.now() + longestMs
  while (isUnsettled(db, attempt) && performance.now() < end) {
    await settle(db, attempt).catch(() => false)
    await sleep(betweenTriesMs, undefined, { ref: false })
  }
  forget(db, attempt)
}

const isUnsettled = (db: Database, attempt: Attempt) =>
  unsettled.get(db)?.get(attempt.key)?.has(attempt) === true

function forget(db: Database, attempt: Attempt) {
  const attempts = unsettled.get(db)
  const same = attempts?.get(attempt.key)
  same?.delete(attempt)
  if (same?.size === 0) attempts?.delete(attempt.key)
}

function settle(db: Database, attempt: Attempt): Promise<boolean> {
  return span('attempts.settle', async () => {
    const { restored, over } = await db.transaction((tx) => attempt.undo(tx))
    if (restored || over) forget(db, attempt)
    return restored
  })
}

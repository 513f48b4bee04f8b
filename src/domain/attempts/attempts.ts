/**
 * Attempts with an unknown outcome: the database was lost or too slow while it consumed something single-use. Once it
 * is back, what they consumed is restored, so that a retry works. Only this process knows that no success was
 * reported; if it ends, they stay as they are.
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

interface Kept {
  readonly attempt: Attempt
  /** On the clock of `performance.now()`. */
  readonly until: number
}

interface Unsettled {
  readonly all: Set<Kept>
  isAtWork: boolean
}

/** A replica is itself, and never knows what another one has tried. */
const unsettled = new WeakMap<Database, Unsettled>()

const betweenTriesMs = 500
/** What a client still tries again later than that is a refresh token, and rare. */
const keptMs = 60 * 60 * 1000
/** An outage that fails more than this is not to cost the memory, too. */
const maxKept = 10_000

/** Runs an attempt, and remembers it if its outcome is unknown. */
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
  const mine = unsettled.get(db) ?? { all: new Set(), isAtWork: false }
  unsettled.set(db, mine)
  if (mine.all.size >= maxKept) return
  mine.all.add({ attempt, until: performance.now() + keptMs })
  if (mine.isAtWork) return
  mine.isAtWork = true
  // The request that began it is over, and its deadline with it.
  void withDeadline({ at: Number.POSITIVE_INFINITY }, () => settleAll(db, mine))
}

/** Undoes what is known to have been attempted with this key; answers whether anything was given back. */
export async function settleAttempts(db: Database, key: string): Promise<boolean> {
  const mine = unsettled.get(db)
  let restored = false
  for (const kept of mine?.all ?? [])
    if (mine && kept.attempt.key === key) restored = (await settle(db, mine, kept)) || restored
  return restored
}

async function settleAll(db: Database, mine: Unsettled) {
  while (mine.all.size > 0) {
    await settleEach(db, mine)
    await sleep(betweenTriesMs, undefined, { ref: false })
    for (const kept of mine.all) if (kept.until < performance.now()) mine.all.delete(kept)
  }
  mine.isAtWork = false
}

/** One after the other, until one finds the database still away. */
async function settleEach(db: Database, mine: Unsettled) {
  for (const kept of mine.all) {
    const problem = await settle(db, mine, kept).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (isOutage(problem)) return
  }
}

function settle(db: Database, mine: Unsettled, kept: Kept): Promise<boolean> {
  return span('attempts.settle', async () => {
    const { restored, over } = await db.transaction((tx) => kept.attempt.undo(tx))
    if (restored || over) mine.all.delete(kept)
    return restored
  })
}

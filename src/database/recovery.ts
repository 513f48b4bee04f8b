/** Right after an outage replicas are still undoing attempts that failed, so a consumed code or token is no sign of reuse yet. */

/** Longer than replicas take to notice that the database is back, and to give back. */
const settlingMs = 3000

const last = { at: Number.NEGATIVE_INFINITY }

/** The database is back. */
export function noteRecovery(): void {
  last.at = performance.now()
}

/** Whether the database has come back a moment ago. */
export const isRecovering = (): boolean => performance.now() - last.at < settlingMs

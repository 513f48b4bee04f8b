/** Right after an outage replicas still give back what they used up in vain, so nobody is judged by what is used up. */

/** Longer than replicas take to notice that the database is back, and to give back. */
const settlingMs = 3000

const last = { at: Number.NEGATIVE_INFINITY }

/** The database is back. */
export function noteRecovery(): void {
  last.at = performance.now()
}

/** Whether the database has come back a moment ago. */
export const isRecovering = (): boolean => performance.now() - last.at < settlingMs

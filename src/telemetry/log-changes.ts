/** For repeated tasks: logs the first failure and the recovery, not every failure in between. */
import type { Log } from './log.ts'

export interface LogChanges {
  failed(error: unknown): void
  worked(): void
}

/** Watches one task; `what` names it in the log. */
export function logChanges(log: Pick<Log, 'info' | 'error'>, what: string): LogChanges {
  let failingSince: number | undefined
  return {
    failed(error) {
      if (failingSince === undefined) log.error({ err: error, what }, `${what} failed`)
      failingSince ??= performance.now()
    },
    worked() {
      if (failingSince === undefined) return
      const seconds = Math.round((performance.now() - failingSince) / 1000)
      log.info({ what, seconds }, `${what} recovered`)
      failingSince = undefined
    },
  }
}

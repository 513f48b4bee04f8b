/** For what is tried again and again: the log hears when it begins to fail and when it works again, not each time in between. */
import type { Log } from './log.ts'

export interface LogChanges {
  failed(error: unknown): void
  worked(): void
}

/** Watches one thing; `what` names it to whoever reads the log. */
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

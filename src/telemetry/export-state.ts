/** Notices whether OTLP exports arrive: every failure is counted, a change of state is logged once. */
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { Log } from './log.ts'
import { errorType } from './log-errors.ts'

export type Signal = 'metrics' | 'traces'

export interface ExportWatch {
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly onExportFailure: (signal: Signal) => void
  readonly onExport?: (signal: Signal) => void
}

type Export<T> = (items: T, done: (result: ExportResult) => void) => void

/** The same export, with its outcomes noticed. */
export function watchExports<T>(
  signal: Signal,
  { log, onExportFailure, onExport }: ExportWatch,
  send: Export<T>,
): Export<T> {
  let down = false
  return (items, done) =>
    send(items, (result) => {
      const failed = result.code !== ExportResultCode.SUCCESS
      if (failed) onExportFailure(signal)
      else onExport?.(signal)
      // The error's text may repeat what the collector answered; its kind is enough to act on.
      if (failed && !down)
        log.warn({ signal, error: errorType(result.error) }, 'exports are failing')
      if (!failed && down) log.info({ signal }, 'exports have recovered')
      down = failed
      done(result)
    })
}

/**
 * The log: one JSON object a line on standard output, each with the trace id of the request it belongs to. Secrets are
 * taken out by the name of what holds them, at any depth, and addresses lose their query.
 */
import { type BaseLogger, type DestinationStream, pino } from 'pino'
import { describeError } from './log-errors.ts'
import { redact } from './log-redaction.ts'
import { currentTraceId } from './trace-id.ts'

/** Without `child`, whose bindings would pass by the redaction; the trace id needs none. */
export type Log = Pick<BaseLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'>

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** A line that cannot be written, as on a full disk, is lost; the server is not. */
function standardOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: true })
  stream.on('error', () => {})
  return stream
}

/** Makes the log; `destination` is for tests. */
export function createLog({
  level,
  destination,
}: {
  level: LogLevel
  destination?: DestinationStream
}): Log {
  const options = {
    level,
    // Neither pid nor host name: the platform adds what it needs.
    base: null,
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: redact,
    },
    serializers: { err: describeError },
    mixin() {
      const traceId = currentTraceId()
      return traceId === undefined ? {} : { trace_id: traceId }
    },
  }
  return pino(options, destination ?? standardOutput())
}

/**
 * What the process does on a signal, and on an error that nobody caught. It ends by a signal or because its state may be
 * broken, always through the same drain, and always within a bound.
 */
import { constants } from 'node:os'
import type { UncaughtKind } from '#/protocol/vocabulary.ts'
import { endWithNpm } from './end-with-npm.ts'

export interface Stoppable {
  /** Longest that `stop` may take. */
  readonly stopBoundMs: number
  /** Drains, flushes, closes. With `delay`, serves on until load balancers have noticed. */
  stop(options: { delay: boolean }): Promise<void>
  /** Ends that delay; false when there is none. */
  skipDelay(): boolean
  /** Logs and counts. */
  reportUncaught(kind: UncaughtKind, error: unknown): void
}

/** A terminal signals to all of its processes, and npm passes the signal on once more. */
const echoMs = 500

/** Handles signals and uncaught errors; until `serve` is called with a server, a signal ends the process at once. */
export function watchProcess(environment: NodeJS.ProcessEnv) {
  let server: Stoppable | undefined
  let ending = false
  let exitCode = 0
  let askedAt = 0

  const end = (running: Stoppable, delay: boolean) => {
    ending = true
    setTimeout(() => process.exit(1), running.stopBoundMs)
    running.stop({ delay }).then(
      () => process.exit(exitCode),
      () => process.exit(1),
    )
  }
  const onSignal = (signal: NodeJS.Signals) => {
    if (!server) process.exit(0)
    const before = askedAt
    askedAt = performance.now()
    // SIGTERM comes from orchestrators, whose load balancers need time to notice.
    if (!ending) end(server, signal === 'SIGTERM')
    else if (askedAt - before > echoMs && !server.skipDelay())
      process.exit(128 + constants.signals[signal])
  }
  const onUncaught = (kind: UncaughtKind, error: unknown) => {
    if (!server) return failToStart(error)
    server.reportUncaught(kind, error)
    if (kind === 'rejection' || isOfConnection(error)) return
    exitCode = 1
    if (!ending) end(server, true)
  }

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, onSignal)
  process.on('uncaughtException', (error) => onUncaught('exception', error))
  process.on('unhandledRejection', (error) => onUncaught('rejection', error))
  // The reader of the output has gone or the disk is full: no reason to exit.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  endWithNpm(environment)
  return {
    serve(running: Stoppable) {
      server = running
    },
  }
}

/** Says why in a sentence, and ends the process. */
export function failToStart(error: unknown): never {
  const reason = error instanceof Error ? error.message : String(error)
  process.stderr.write(`AuthGate could not start: ${reason}\n`)
  process.exit(1)
}

/** An unhandled error of a connection: only that connection is lost. */
const isOfConnection = (error: unknown) =>
  error instanceof Error &&
  'syscall' in error &&
  'code' in error &&
  /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTCONN|ENOTFOUND|EAI_)/.test(String(error.code))

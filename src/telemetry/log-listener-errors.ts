import type { Server } from 'node:net'
import type { Log } from './log.ts'
import { errorType } from './log-errors.ts'

/** While one connection after the other fails to open, as when there are no file descriptors left. */
const everyMs = 60_000

/** A listener survives a connection that it cannot accept; logged at most once a minute. */
export function logListenerErrors(server: Server, log: Pick<Log, 'warn'>): void {
  let quietUntil = 0
  server.on('error', (error) => {
    if (performance.now() < quietUntil) return
    quietUntil = performance.now() + everyMs
    log.warn({ error: errorType(error) }, 'a connection could not be accepted')
  })
}

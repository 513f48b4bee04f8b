import type { Server } from 'node:net'
import type { Log } from './log.ts'
import { errorType } from './log-errors.ts'

/** While one connection after the other fails to open, as when there are no file descriptors left. */
const everyMs = 60_000

/** A listener that cannot take a connection goes on listening; that is told once a minute at most. */
export function logListenerErrors(server: Server, log: Pick<Log, 'warn'>): void {
  let quietUntil = 0
  server.on('error', (error) => {
    if (performance.now() < quietUntil) return
    quietUntil = performance.now() + everyMs
    log.warn({ error: errorType(error) }, 'a connection could not be accepted')
  })
}

import type { Server as HttpServer } from 'node:http'
import { Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAdaptorServer } from '@hono/node-server'
import type { Log } from '#/telemetry/log.ts'
import { logListenerErrors } from '#/telemetry/log-listener-errors.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { type ConnectionLimits, type Connections, watchConnections } from './connections.ts'

/** Names the setting that an operator can change. */
export function explainListenError(error: unknown, setting: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE')
    return new Error(`${setting}: port ${port} is already in use; choose another one.`)
  if (code === 'EACCES')
    return new Error(
      `${setting}: port ${port} is not permitted for this user; choose one above 1023.`,
    )
  return error
}

/** For headers and body: a slower request is answered 408 and its connection closed. */
const requestTimeouts = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: 75_000,
}

/** A proxy that has not noticed the drain sends its next request on a kept connection; the answer closes it. */
const farewellMs = 250

export interface Listener {
  /** Lets requests under way finish, for so long. */
  close(timeoutMs: number): Promise<void>
}

interface Surroundings {
  readonly host: string
  readonly port: number
  readonly connections: ConnectionLimits
  readonly log: Log
  readonly recorder: Recorder
}

/** Listens on the public port. */
export async function listen(
  fetch: Parameters<typeof createAdaptorServer>[0]['fetch'],
  { host, port, connections: limits, log, recorder }: Surroundings,
  timeouts = requestTimeouts,
): Promise<Listener> {
  const server = createAdaptorServer({ fetch, serverOptions: timeouts }) as HttpServer
  const connections = watchConnections(server, limits, recorder)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explainListenError(error, 'PORT', port)))
    server.listen(port, host, resolve)
  })
  logListenerErrors(server, log)
  return { close: (timeoutMs) => close(server, connections, timeoutMs) }
}

async function close(server: HttpServer, connections: Connections, timeoutMs: number) {
  connections.sayFarewell()
  const start = performance.now()
  while (connections.count() > 0 && performance.now() - start < farewellMs) await sleep(10)
  const closed = new Promise<void>((resolve) => {
    // That of HTTP would cut idle connections off at once.
    Server.prototype.close.call(server, () => resolve())
  })
  connections.closeIdle()
  // A connection may become idle without an answer, such as one that was opened and never used.
  const idle = setInterval(() => connections.closeIdle(), 50)
  const timer = setTimeout(() => server.closeAllConnections(), timeoutMs)
  await closed
  clearInterval(idle)
  clearTimeout(timer)
}

import { serve } from '@hono/node-server'
import type { Config } from '#/config.ts'

/** Names the setting that an operator can change. */
export function explainListenError(error: unknown, setting: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE')
    return new Error(`${setting}: port ${port} is in use; write another one.`)
  if (code === 'EACCES')
    return new Error(`${setting}: port ${port} may not be used by this user; write one above 1023.`)
  return error
}

/** Listens on the public port; closing lets requests under way finish, for so long. */
export async function listen(fetch: Parameters<typeof serve>[0]['fetch'], { HOST, PORT }: Config) {
  const server = serve({
    fetch,
    hostname: HOST,
    port: PORT,
    serverOptions: { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 75_000 },
  })
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', (error) => reject(explainListenError(error, 'PORT', PORT)))
  })
  return {
    async close(timeoutMs: number) {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      // A connection is kept alive after its last answer, so idle ones turn up for as long as there are answers.
      const idle = setInterval(
        () => 'closeIdleConnections' in server && server.closeIdleConnections(),
        50,
      )
      const timer = setTimeout(
        () => 'closeAllConnections' in server && server.closeAllConnections(),
        timeoutMs,
      )
      await closed
      clearInterval(idle)
      clearTimeout(timer)
    },
  }
}

/** A reverse proxy that gives a server one path of a host, as nginx, Caddy or Traefik do; the rest of the host is somebody else's. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { freePort } from './ports.ts'

export interface PathProxy {
  /** What the server has to be told, its port among it. */
  readonly settings: Record<string, string>
  /** What was asked of the rest of the host. */
  readonly strayed: readonly string[]
  close(): Promise<void>
}

/** `strips`: takes the path away before it passes a request on. */
export async function startPathProxy({ strips }: { strips: boolean }): Promise<PathProxy> {
  const path = '/auth'
  const [port, serverPort] = [await freePort(), await freePort()]
  const strayed: string[] = []

  /** The address as the server gets it. */
  function passedOn(url: string): string | undefined {
    if (/^\/auth(?:[/?]|$)/.test(url))
      return strips ? url.slice(path.length).replace(/^(?!\/)/, '/') : url
    // RFC 8414 §3.1: below the host, whatever the path of the issuer.
    return /^\/\.well-known\/[\w-]+\/auth$/.test(url) ? url : undefined
  }

  function pass(incoming: IncomingMessage, outgoing: ServerResponse) {
    const url = passedOn(incoming.url ?? '')
    if (url === undefined) {
      strayed.push(`${incoming.method} ${incoming.url}`)
      return void outgoing.writeHead(404).end('somebody else lives here')
    }
    const { method, headers } = incoming
    const onward = request({ port: serverPort, host: '127.0.0.1', path: url, method, headers })
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  }

  const server = createServer(pass)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    settings: {
      BASE_URL: `http://localhost:${port}${path}`,
      PROXY_STRIPS_PATH: String(strips),
      PORT: String(serverPort),
      TRUSTED_PROXIES: '127.0.0.1',
    },
    strayed,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

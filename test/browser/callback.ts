/** Where clients get their answers. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Callback {
  readonly url: string
  /** What it was sent: method and query or body. */
  readonly answers: string[]
  close(): Promise<unknown>
}

/** A client's callback that leads on; whoever arrives where it leads sees "Landed". */
export async function startCallback(
  host: string,
  leadTo: (own: string) => string,
): Promise<Callback> {
  const answers: string[] = []
  const listen = async (on: string, handle: Parameters<typeof createServer>[1]) => {
    const listener: Server = createServer(handle)
    await new Promise<void>((resolve) => listener.listen(0, on, resolve))
    const name = on.includes(':') ? `[${on}]` : on
    return { listener, url: `http://${name}:${(listener.address() as AddressInfo).port}` }
  }
  const landing = await listen('127.0.0.1', (_, response) => response.end('Landed'))
  const callback = await listen(host, (request, response) => {
    if (!request.url?.startsWith('/callback')) return void response.writeHead(204).end()
    answers.push(`${request.method} ${request.url}`)
    response.writeHead(303, { location: leadTo(landing.url) }).end()
  })
  return {
    url: `${callback.url}/callback`,
    answers,
    close: () =>
      Promise.all(
        [landing, callback].map(({ listener }) => {
          listener.closeAllConnections()
          return new Promise((resolve) => listener.close(resolve))
        }),
      ),
  }
}

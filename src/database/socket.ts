/** The socket of a connection, known to us so that it can be destroyed whatever the driver believes. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import type postgres from 'postgres'

/** What the driver has read from a connection string; some of it is not among its types. */
interface Place {
  readonly host: readonly string[]
  readonly port: readonly number[]
  readonly path?: string | false | undefined
}

/** As the options say themselves, else as the driver does it; `hold` gets the socket as soon as there is one. */
export async function openSocket(
  own: object,
  options: postgres.ParsedOptions,
  hold: (socket: Duplex) => void,
): Promise<Duplex> {
  if ('socket' in own && typeof own.socket === 'function') {
    const socket: Duplex = await own.socket(options)
    hold(socket)
    return socket
  }
  const { host, port, path } = options as unknown as Place
  const [hostname = 'localhost'] = host
  const socket = path ? connect(path) : connect(port[0] ?? 5432, hostname)
  hold(socket)
  await once(socket, 'connect')
  // The driver takes the name that a certificate must hold from here.
  return Object.assign(socket, { host: hostname })
}

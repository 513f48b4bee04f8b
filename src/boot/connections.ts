/**
 * The connections of the public port: how many there may be, and how they end without losing a request. One that waits for
 * its next request may be closed, but a proxy may be about to use it, so at a drain it is told first: by an answer.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type BlockList, isIP, type Socket } from 'node:net'
import type { Recorder } from '#/telemetry/recorder.ts'
import { networkOf } from '#/web/request/client-address.ts'

export interface ConnectionLimits {
  readonly total: number
  /** Of one address, or of the /64 of an IPv6 one. */
  readonly perAddress: number
  /** Whose connections are those of many people. */
  readonly trustedProxies: BlockList
}

export interface Connections {
  count(): number
  /** From now on every answer closes its connection. */
  sayFarewell(): void
  /** Closes those on which no request is under way. */
  closeIdle(): void
}

interface Held {
  readonly network: string | undefined
  answering: number
  /** More than that was read: a request is coming in. */
  bytesAtRest: number
}

/** Watches a server that does not listen yet. */
export function watchConnections(
  server: Server,
  { total, perAddress, trustedProxies }: ConnectionLimits,
  recorder: Pick<Recorder, 'connectionRefused'>,
): Connections {
  const held = new Map<Socket, Held>()
  const networks = new Map<string, Set<Socket>>()
  const answers = new Set<ServerResponse>()
  let farewell = false

  const isIdle = (socket: Socket) => {
    const state = held.get(socket)
    return state !== undefined && state.answering === 0 && socket.bytesRead === state.bytesAtRest
  }
  /** The connection that has been idle longest, if any; its peer can open another. */
  const makeRoom = (sockets: Iterable<Socket>) => {
    for (const socket of sockets) if (isIdle(socket)) return forget(socket)
    return false
  }
  const forget = (socket: Socket) => {
    const network = held.get(socket)?.network
    held.delete(socket)
    if (network !== undefined) leave(networks, network, socket)
    socket.destroy()
    return true
  }

  server.on('connection', (socket: Socket) => {
    const network = limitedNetwork(socket, trustedProxies)
    const neighbours = network === undefined ? undefined : join(networks, network)
    if (neighbours && neighbours.size >= perAddress && !makeRoom(neighbours)) {
      recorder.connectionRefused('address')
      socket.destroy()
      return
    }
    if (held.size >= total && !makeRoom(held.keys())) {
      recorder.connectionRefused('server')
      socket.destroy()
      return
    }
    held.set(socket, { network, answering: 0, bytesAtRest: 0 })
    neighbours?.add(socket)
    socket.once('close', () => forget(socket))
  })

  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const state = held.get(socket)
    if (state) state.answering += 1
    if (farewell) response.shouldKeepAlive = false
    answers.add(response)
    response.once('close', () => {
      answers.delete(response)
      if (!state || !held.has(socket)) return
      state.answering -= 1
      state.bytesAtRest = socket.bytesRead
      // The last to be used stands last.
      held.delete(socket)
      held.set(socket, state)
      if (state.network === undefined) return
      leave(networks, state.network, socket)
      join(networks, state.network).add(socket)
    })
  })

  return {
    count: () => held.size,
    sayFarewell() {
      farewell = true
      for (const response of answers) if (!response.headersSent) response.shouldKeepAlive = false
    },
    closeIdle() {
      for (const socket of [...held.keys()]) if (isIdle(socket)) forget(socket)
    },
  }
}

/** Undefined for trusted proxies and for loopback, where an undeclared proxy may run. */
function limitedNetwork(socket: Socket, trusted: BlockList): string | undefined {
  const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  const version = isIP(address)
  if (version === 0 || address === '::1' || (version === 4 && address.startsWith('127.')))
    return undefined
  return trusted.check(address, version === 6 ? 'ipv6' : 'ipv4') ? undefined : networkOf(address)
}

function join(networks: Map<string, Set<Socket>>, network: string): Set<Socket> {
  const sockets = networks.get(network) ?? new Set()
  networks.set(network, sockets)
  return sockets
}

function leave(networks: Map<string, Set<Socket>>, network: string, socket: Socket) {
  const sockets = networks.get(network)
  sockets?.delete(socket)
  if (sockets?.size === 0) networks.delete(network)
}

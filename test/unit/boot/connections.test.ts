/** The public port on a real socket: senders that are slow or many hold nothing that others need. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, BlockList, connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { watchConnections } from '#/boot/connections.ts'
import { listen } from '#/boot/listen.ts'
import { createLog } from '#/telemetry/log.ts'
import { createRecorder } from '#/telemetry/recorder.ts'
import { freePort } from '../../support/ports.ts'
import { testMetrics } from '../telemetry/metrics-support.ts'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const end of endings.splice(0)) await end()
})

async function open(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {})
  // Whatever nobody reads holds back the news of the end.
  socket.resume()
  endings.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

const closed = (socket: Socket) => expect.poll(() => socket.closed, { timeout: 4000 }).toBe(true)

/** Sends a request and waits for its answer; the connection is kept. */
async function ask(socket: Socket) {
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 200 /)
}

describe('slow bodies', () => {
  it('300 connections with a stalled body of 60 KB are answered 408 and closed within the bound', async () => {
    const PORT = await freePort()
    const listener = await listen(
      async (request) => new Response(await request.text()),
      {
        host: '127.0.0.1',
        port: PORT,
        connections: { total: 1000, perAddress: 1000, trustedProxies: new BlockList() },
        log: createLog({ level: 'silent' }),
        recorder: createRecorder(testMetrics().meter),
      },
      {
        headersTimeout: 500,
        requestTimeout: 1000,
        connectionsCheckingInterval: 100,
        keepAliveTimeout: 75_000,
      },
    )
    endings.push(() => listener.close(0))
    const ended = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const socket = await open(PORT)
        const start = performance.now()
        let answer = ''
        socket.setEncoding('latin1').on('data', (text: string) => {
          answer += text
        })
        socket.write(
          `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n${'x'.repeat(1000)}`,
        )
        await once(socket, 'close')
        return { answer: answer.split('\r\n')[0], seconds: (performance.now() - start) / 1000 }
      }),
    )
    expect(new Set(ended.map(({ answer }) => answer))).toEqual(
      new Set(['HTTP/1.1 408 Request Timeout']),
    )
    const seconds = ended.map((one) => one.seconds)
    expect(Math.min(...seconds)).toBeGreaterThan(0.8)
    expect(Math.max(...seconds)).toBeLessThan(10)
  }, 30_000)
})

describe('connections', () => {
  /** A server that takes what comes from 127.0.0.N for something from 192.0.2.N: this machine itself is not counted. */
  async function serve(limits: { total: number; perAddress: number; trusted?: string }) {
    let waiting = 0
    const server: Server = createServer(({ url }, response) => {
      if (url === '/') response.end('well')
      else waiting += 1
    })
    server.on('connection', (socket: Socket) => {
      const remoteAddress = socket.remoteAddress?.replace('127.0.0.', '192.0.2.')
      Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress })
    })
    const trustedProxies = new BlockList()
    if (limits.trusted) trustedProxies.addAddress(limits.trusted)
    const metrics = testMetrics()
    const connections = watchConnections(
      server,
      { ...limits, trustedProxies },
      createRecorder(metrics.meter),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    endings.push(() => server.close().closeAllConnections())
    return {
      connections,
      port: (server.address() as AddressInfo).port,
      untilWaiting: (requests: number) => expect.poll(() => waiting).toBe(requests),
      refused: async (limit: string) =>
        (await metrics.scrape()).get(`authgate_connections_refused_total{limit="${limit}"}`),
    }
  }

  /** With a request under way, so that it makes no room. */
  async function openBusy(port: number, localAddress: string) {
    const socket = await open(port, localAddress)
    socket.write('GET /waits HTTP/1.1\r\nhost: a\r\n\r\n')
    return socket
  }

  it('of one address beyond its limit are refused and counted, and others are served', async () => {
    const { port, refused, connections, untilWaiting } = await serve({ total: 100, perAddress: 2 })
    const busy = [await openBusy(port, '127.0.0.2'), await openBusy(port, '127.0.0.2')]
    await untilWaiting(2)
    await closed(await open(port, '127.0.0.2'))
    expect(await refused('address')).toBe(1)
    expect(busy.map((socket) => socket.closed)).toEqual([false, false])
    await ask(await open(port, '127.0.0.3'))
    // One that ends makes room.
    const before = connections.count()
    busy[0]?.destroy()
    await expect.poll(() => connections.count()).toBe(before - 1)
    await ask(await open(port, '127.0.0.2'))
    expect([await refused('address'), await refused('server')]).toEqual([1, 0])
  })

  it('that wait for their next request make room, the longest unused first, and nobody is refused', async () => {
    const { port, refused } = await serve({ total: 100, perAddress: 2 })
    const [first, second] = [await open(port, '127.0.0.2'), await open(port, '127.0.0.2')]
    await ask(first)
    await ask(second)
    await ask(first)
    const third = await open(port, '127.0.0.2')
    await ask(third)
    await closed(second)
    await ask(first)
    expect([await refused('address'), await refused('server')]).toEqual([0, 0])
  })

  it('of all addresses beyond the limit of the server are refused and counted', async () => {
    const { port, refused, untilWaiting } = await serve({ total: 2, perAddress: 100 })
    await openBusy(port, '127.0.0.2')
    await openBusy(port, '127.0.0.3')
    await untilWaiting(2)
    await closed(await open(port, '127.0.0.4'))
    expect([await refused('address'), await refused('server')]).toEqual([0, 1])
  })

  it('of a trusted proxy are those of many people, and not counted against its address', async () => {
    const { port, refused, untilWaiting } = await serve({
      total: 100,
      perAddress: 1,
      trusted: '192.0.2.9',
    })
    for (let n = 0; n < 5; n += 1) await openBusy(port, '127.0.0.9')
    await untilWaiting(5)
    await ask(await open(port, '127.0.0.9'))
    expect(await refused('address')).toBe(0)
  })
})

/** Two replicas behind a balancer that asks /readyz are replaced one after the other, and nobody notices. */
import { Agent, createServer, request as httpRequest, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { type Postgres, startPostgres } from '../support/services.ts'

const perSecond = 80
const pollMs = 500

let postgres: Postgres
let home: Home
beforeAll(async () => {
  postgres = await startPostgres()
  home = await createHome()
})
afterAll(async () => {
  await home.remove()
  await postgres.remove()
})

const settings = () => ({
  DATABASE_URL: postgres.url,
  SESSION_SECRET: 'rolling restart secret of at least 32 characters',
  SHUTDOWN_DELAY: '2s',
})

/** Keeps connections, asks each replica now and then whether it is ready, and tries no request twice. */
async function startBalancer() {
  const agent = new Agent({ keepAlive: true })
  const ports = new Map<number, boolean>()
  const ask = (port: number, path: string) =>
    new Promise<number>((resolve) => {
      const sent = httpRequest({ host: '127.0.0.1', port, path, agent }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0))
        response.on('error', () => resolve(0))
      })
      sent.on('error', () => resolve(0)).end()
    })
  const timer = setInterval(() => {
    for (const port of ports.keys())
      void ask(port, '/readyz').then((status) => ports.has(port) && ports.set(port, status === 200))
  }, pollMs)
  let turn = 0
  const forward = async (path: string, response: ServerResponse) => {
    const ready = [...ports].filter(([, isReady]) => isReady).map(([port]) => port)
    turn += 1
    const port = ready[turn % ready.length]
    response.writeHead((port === undefined ? 0 : await ask(port, path)) || 502).end()
  }
  const server = createServer((incoming, response) => void forward(incoming.url ?? '/', response))
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    add: (replica: ServerProcess) => ports.set(Number(new URL(replica.url).port), true),
    remove: (replica: ServerProcess) => ports.delete(Number(new URL(replica.url).port)),
    close() {
      clearInterval(timer)
      agent.destroy()
      server.close()
    },
  }
}

it('a rolling restart loses no request', async () => {
  const old = [await home.startAnother(settings()), await home.startAnother(settings())]
  const balancer = await startBalancer()
  for (const replica of old) balancer.add(replica)
  const answers: Promise<number>[] = []
  const load = setInterval(() => {
    answers.push(
      fetch(`http://127.0.0.1:${balancer.port}/login`).then(
        async (response) => {
          await response.arrayBuffer()
          return response.status
        },
        () => 0,
      ),
    )
  }, 1000 / perSecond)
  for (const replica of old) {
    const next = await home.startAnother(settings())
    balancer.add(next)
    await sleep(2 * pollMs)
    expect(await replica.stop()).toMatchObject({ code: 0, signal: null })
    balancer.remove(replica)
  }
  clearInterval(load)
  const statuses = await Promise.all(answers)
  balancer.close()
  console.log(`${statuses.length} requests during a rolling restart`)
  expect(statuses.length).toBeGreaterThan(200)
  expect(statuses.filter((status) => status !== 200)).toEqual([])
})

/** A Redis that stops answering, dies and comes back: nobody waits for it, and limits hold all the while. */
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { connectRedis } from '#/boot/redis.ts'
import { createMemoryStore, createSharedStore, type SharedRedis } from '#/web/limits/limit-store.ts'
import { type Service, startRedis } from '../support/services.ts'

let server: Service
let shared: SharedRedis
let lines: string[]

beforeEach(async () => {
  server = await startRedis()
  lines = []
  shared = connectRedis(server.url, pino({}, { write: (line: string) => lines.push(line) }))
  await until(() => shared.isUp())
})
afterEach(async () => {
  shared.close()
  await server.remove()
})

async function until(holds: () => boolean, seconds = 10) {
  const deadline = performance.now() + seconds * 1000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('it did not come to that in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const messages = () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
const changes = [
  'Redis is unreachable; until it is back, each process applies rate limits on its own',
  'Redis is back',
]

const limited = () => {
  const store = createSharedStore(shared, createMemoryStore(Date.now))
  return () => store.consume([{ key: 'key', limit: 5, windowMs: 60_000 }])
}

it('makes one request wait when it freezes, and none after that, while the limits hold', async () => {
  const consume = limited()
  for (let n = 0; n < 3; n += 1) expect((await consume()).trouble).toBeUndefined()
  await server.freeze()
  const start = performance.now()
  expect((await consume()).trouble).toBe('error')
  expect(performance.now() - start).toBeLessThan(450)
  const results: (number | undefined)[] = []
  for (let n = 0; n < 1000; n += 1) results.push((await consume()).refused)
  // One of the five was taken while it was found out.
  expect(results.filter((refused) => refused === undefined)).toHaveLength(4)
  expect(performance.now() - start).toBeLessThan(700)
  expect(messages()).toEqual(changes.slice(0, 1))
  await server.thaw()
  const thawed = performance.now()
  await until(() => shared.isUp())
  expect(performance.now() - thawed).toBeLessThan(1000)
  expect(messages()).toEqual(changes)
  // What was counted before the outage still counts; what timed out was counted there as well.
  expect((await consume()).windows[0]?.count).toBe(5)
})

it('is used again within a second of its return, however long it was frozen', async () => {
  const consume = limited()
  await server.freeze()
  await consume()
  // Longer than a connection is trusted.
  await new Promise((resolve) => setTimeout(resolve, 7000))
  expect((await consume()).trouble).toBe('fallback')
  await server.thaw()
  await until(() => shared.isUp(), 1)
  expect(messages()).toEqual(changes)
})

it('refuses nobody and lets nobody wait when it is killed, and counts again after a restart', async () => {
  const consume = limited()
  for (let n = 0; n < 2; n += 1) await consume()
  await server.stop()
  const start = performance.now()
  for (let n = 0; n < 5; n += 1) expect((await consume()).refused).toBeUndefined()
  expect((await consume()).refused).toBe(0)
  expect(performance.now() - start).toBeLessThan(100)
  await server.start()
  await until(() => shared.isUp(), 1)
  expect((await consume()).trouble).toBeUndefined()
  expect(messages()).toEqual(changes)
})

it('is not used while it refuses to write, and nothing is logged again and again', async () => {
  const consume = limited()
  await shared.redis.config('SET', 'maxmemory', '1')
  expect((await consume()).trouble).toBe('error')
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect((await consume()).trouble).toBe('fallback')
  await shared.redis.config('SET', 'maxmemory', '0')
  await until(() => shared.isUp(), 1)
  expect(messages()).toEqual(changes)
})

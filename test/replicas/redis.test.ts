/**
 * Limits that replicas share, on a real Redis. Runs where TEST_REDIS_URL names one, such as redis://127.0.0.1:6379;
 * a Redis that freezes, dies and comes back is among the faults, one that is not there among the endpoints.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectRedis } from '#/boot/redis.ts'
import { createLog } from '#/telemetry/log.ts'
import {
  type Charge,
  createMemoryStore,
  createSharedStore,
  type SharedRedis,
} from '#/web/limits/limit-store.ts'

const url = process.env['TEST_REDIS_URL']
if (url === undefined) console.info('TEST_REDIS_URL is unset: limits are not tried on a real Redis')

describe.runIf(url !== undefined)('limits on a real Redis', () => {
  const log = createLog({ level: 'silent' })
  /** Names of limiters are part of their keys; this one is of this run alone. */
  const name = `test-${crypto.randomUUID()}`
  let one: SharedRedis
  let two: SharedRedis
  beforeAll(async () => {
    one = connectRedis(url ?? '', log)
    two = connectRedis(url ?? '', log)
    await Promise.all([one, two].map(ready))
  })
  const keysOf = (more: string) => one.redis.keys(`{authgate:limits}:${name}${more}*`)
  afterAll(async () => {
    const keys = await keysOf('')
    if (keys.length > 0) await one.redis.del(...keys)
    for (const redis of [one, two]) redis.close()
  })

  const storeOn = (redis: SharedRedis) => createSharedStore(redis, createMemoryStore(Date.now))
  const charge = (key: string, limit = 5): Charge => ({
    key: `${name}${key}`,
    limit,
    windowMs: 60_000,
  })

  it('count one key once for all replicas, and say who was first to be refused', async () => {
    const stores = [storeOn(one), storeOn(two)]
    const attempts = Array.from({ length: 12 }, (_, n) => stores[n % 2]?.consume([charge(':key')]))
    const answers = await Promise.all(attempts)
    expect(answers.filter((answer) => answer?.refused === undefined)).toHaveLength(5)
    expect(answers.filter((answer) => answer?.refused === 0)).toHaveLength(7)
    expect(answers.filter((answer) => answer?.refusals === 1)).toHaveLength(1)
    expect((await storeOn(one).consume([charge(':other')])).refused).toBeUndefined()
  })

  it('charge all windows or none', async () => {
    const store = storeOn(one)
    const both = () => store.consume([charge(':wide'), charge(':narrow', 2)])
    await both()
    await both()
    for (let n = 1; n <= 3; n += 1)
      expect(await both()).toMatchObject({ refused: 1, refusals: n, windows: [{ count: 2 }] })
    const [wide] = (await store.consume([charge(':wide')])).windows
    expect(wide?.count).toBe(3)
  })

  it('give back in the window that was charged, and never in the next', async () => {
    const store = storeOn(one)
    const early = await store.consume([charge(':back'), { ...charge(':kept'), kept: true }])
    early.refund()
    const countOf = async (key: string) => (await store.consume([charge(key)])).windows[0]?.count
    expect([await countOf(':back'), await countOf(':kept')]).toEqual([1, 2])
    const late = await store.consume([charge(':late')])
    await one.redis.del(...(await keysOf(':late')))
    await countOf(':late')
    late.refund()
    expect(await countOf(':late')).toBe(2)
  })

  it('forget a key after its window', async () => {
    await storeOn(one).consume([charge(':window')])
    const keys = await keysOf(':window')
    expect(keys).toHaveLength(1)
    const ttl = await one.redis.pttl(keys[0] ?? '')
    expect(ttl).toBeGreaterThan(50_000)
    expect(ttl).toBeLessThanOrEqual(60_000)
  })
})

const ready = ({ redis }: SharedRedis) =>
  redis.status === 'ready'
    ? Promise.resolve()
    : new Promise<void>((resolve) => redis.once('ready', () => resolve()))

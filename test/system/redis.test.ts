/**
 * Limits that replicas share, on a real Redis. Runs where TEST_REDIS_URL names one, such as redis://127.0.0.1:6379;
 * a Redis out of reach is tried among the tests of the endpoints, everywhere.
 */
import { once } from 'node:events'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectRedis } from '#/boot/redis.ts'
import { createLog } from '#/telemetry/log.ts'
import { createRateLimits } from '#/web/rate-limit.ts'

const url = process.env['TEST_REDIS_URL']
if (url === undefined) console.info('TEST_REDIS_URL is unset: limits are not tried on a real Redis')

describe.runIf(url !== undefined)('limits on a real Redis', () => {
  const log = createLog({ level: 'silent' })
  /** Names of limiters are part of their keys; this one is of this run alone. */
  const name = `test-${crypto.randomUUID()}`
  let one: Redis
  let two: Redis
  beforeAll(async () => {
    one = connectRedis(url ?? '', log)
    two = connectRedis(url ?? '', log)
    await Promise.all([one, two].map(ready))
  })
  afterAll(async () => {
    const keys = await one.keys(`authgate:limit:${name}*`)
    if (keys.length > 0) await one.del(...keys)
    for (const redis of [one, two]) redis.disconnect()
  })

  const limiterOn = (redis: Redis, more = '') => {
    const limiter = createRateLimits({ enabled: true, redis }).limiter({
      name: name + more,
      endpoint: '/login',
      perMinute: 5,
    })
    if (!limiter) throw new Error('limits are on')
    return limiter
  }

  it('count one key once for all replicas, and say who was first to be refused', async () => {
    const limiters = [limiterOn(one), limiterOn(two)]
    const attempts = Array.from({ length: 12 }, (_, n) => limiters[n % 2]?.consume('key'))
    const verdicts = await Promise.all(attempts)
    const results = verdicts.map((verdict) => verdict?.result)
    expect(results.filter((result) => result === 'allowed')).toHaveLength(5)
    expect(results.filter((result) => result === 'limited')).toHaveLength(7)
    expect(verdicts.filter((verdict) => verdict?.first)).toHaveLength(1)
    expect((await limiterOn(one).consume('other key')).result).toBe('allowed')
  })

  it('forget a key after its window', async () => {
    await limiterOn(one, '-window').consume('key')
    const keys = await one.keys(`authgate:limit:${name}-window*`)
    expect(keys).toHaveLength(1)
    const ttl = await one.pttl(keys[0] ?? '')
    expect(ttl).toBeGreaterThan(50_000)
    expect(ttl).toBeLessThanOrEqual(60_000)
  })

  it('let everybody through while Redis is gone, and count again when it is back', async () => {
    const redis = connectRedis(url ?? '', log)
    await ready(redis)
    const limiter = limiterOn(redis, '-outage')
    for (let n = 0; n < 5; n += 1) await limiter.consume('key')
    expect((await limiter.consume('key')).result).toBe('limited')
    const ended = once(redis, 'end')
    redis.disconnect()
    await ended
    expect((await limiter.consume('key')).result).toBe('error')
    await redis.connect()
    expect((await limiter.consume('key')).result).toBe('limited')
    redis.disconnect()
  })
})

const ready = (redis: Redis) =>
  redis.status === 'ready'
    ? Promise.resolve()
    : new Promise<void>((resolve) => redis.once('ready', () => resolve()))

import { Redis } from 'ioredis'
import type { Log } from '#/telemetry/log.ts'

/** Fails fast: a limiter that waits for Redis would hold up every request. */
export function connectRedis(url: string, log: Log): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2000,
    commandTimeout: 500,
  })
  let down = false
  redis.on('error', (error) => {
    if (!down)
      log.error({ err: error }, 'Redis is out of reach; rate limits are off until it is back')
    down = true
  })
  redis.on('ready', () => {
    if (down) log.info('Redis is back')
    down = false
  })
  return redis
}

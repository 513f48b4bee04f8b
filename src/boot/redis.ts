import { Redis } from 'ioredis'
import type { Log } from '#/telemetry/log.ts'
import type { SharedRedis } from '#/web/limits/limit-store.ts'

/** Timeout of one command: a user's sign-in waits for it. */
const commandTimeoutMs = 250
/** How often a Redis that is out of reach is asked whether it is back. */
const probeIntervalMs = 250
/** A connection whose other end was replaced without a word is given up. */
const reconnectAfterMs = 5000

/**
 * Fails fast: a limiter that waits for Redis would hold up every request. After the first failure nobody waits any more;
 * it is asked in the background until it can be written to again.
 */
export function connectRedis(url: string, log: Log): SharedRedis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2000,
    commandTimeout: commandTimeoutMs,
    retryStrategy: () => probeIntervalMs,
  })
  let failing: { since: number; probe: NodeJS.Timeout } | undefined
  async function probe() {
    try {
      // What a limiter needs: a Redis that is full, or a replica, answers a PING.
      await redis.set('{authgate:limits}:probe', '1', 'PX', 1000)
      recovered()
    } catch {
      if (!failing) return
      if (redis.status === 'ready' && performance.now() - failing.since > reconnectAfterMs) {
        failing.since = performance.now()
        redis.disconnect(true)
      }
      failing.probe = setTimeout(probe, probeIntervalMs)
    }
  }
  function failed(error: unknown) {
    if (failing) return
    log.error(
      { err: error },
      'Redis is unreachable; until it is back, each process applies rate limits on its own',
    )
    failing = { since: performance.now(), probe: setTimeout(probe, probeIntervalMs) }
  }
  function recovered() {
    if (failing) log.info('Redis is back')
    failing = undefined
  }
  let closing = false
  redis.on('error', failed)
  redis.on('close', () => {
    if (!closing) failed(new Error('the connection was closed'))
  })
  return {
    redis,
    isUp: () => !failing && redis.status === 'ready',
    failed,
    close() {
      closing = true
      clearTimeout(failing?.probe)
      failing = undefined
      redis.disconnect()
    },
  }
}

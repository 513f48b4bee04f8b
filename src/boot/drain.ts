/**
 * The way out: readiness turns false, balancers get time to hear of it, requests under way are finished, the last numbers
 * are pushed, and everything is closed. Each step has a bound.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { OpenDatabase } from '#/database/open-database.ts'
import type { RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import type { Log } from '#/telemetry/log.ts'
import type { ScrapeListener } from '#/telemetry/scrape-listener.ts'
import { withinTime } from '#/telemetry/within-time.ts'
import type { SharedRedis } from '#/web/limits/limit-store.ts'
import type { Stoppable } from './process.ts'
import type { Telemetry } from './telemetry.ts'

/** For what cannot be cut off: the sweeper and deliveries that are on their way, and for what is still to be written. */
const closingMs = 1000
const scrapeCloseMs = 1000
const databaseCloseMs = 3000
/** For the last push where requests under way have used up their time. */
const leastPushMs = 1000
const reserveMs = 2000

interface Held {
  readonly telemetry: Telemetry
  readonly redis: SharedRedis | undefined
  readonly database: OpenDatabase
  readonly log: Log
}

interface Drainable extends Held {
  readonly delayMs: number
  readonly timeoutMs: number
  /** Readiness turns false. */
  readonly begin: () => void
  /** Ends everything that uses the database. */
  readonly ends: (timeoutMs: number) => readonly (Promise<unknown> | undefined)[]
  readonly scrape: ScrapeListener | undefined
  /** Audit events that are buffered. */
  readonly repeatedEvents: Pick<RepeatedEvents, 'close'>
}

export function createDrain({
  delayMs,
  timeoutMs,
  begin,
  ends,
  scrape,
  repeatedEvents,
  ...held
}: Drainable): Pick<Stoppable, 'stopBoundMs' | 'skipDelay' | 'stop'> {
  const { telemetry, log } = held
  const delay = new AbortController()
  let delayed = false
  return {
    stopBoundMs:
      delayMs +
      timeoutMs +
      2 * closingMs +
      scrapeCloseMs +
      leastPushMs +
      databaseCloseMs +
      reserveMs,
    skipDelay() {
      const skipped = delayed
      delay.abort()
      return skipped
    },
    async stop({ delay: wanted }) {
      begin()
      log.info('draining')
      // Never rejects; the last push does not wait for it.
      void telemetry.flush()
      delayed = wanted && delayMs > 0
      if (delayed) await sleep(delayMs, undefined, { signal: delay.signal }).catch(() => undefined)
      delayed = false
      const end = performance.now() + timeoutMs
      // Work that has not finished by then is cut off.
      await withinTime(Promise.allSettled(ends(timeoutMs)), timeoutMs + closingMs).catch(() =>
        log.warn('the shutdown timed out before all work had finished'),
      )
      await scrape?.close()
      await repeatedEvents.close(closingMs)
      await release(held, Math.max(leastPushMs, end - performance.now()))
      log.info('stopped')
    },
  }
}

/** The last push goes first: its gauges still need the database. */
async function release({ telemetry, redis, database, log }: Held, pushMs: number) {
  await telemetry.stop(pushMs)
  redis?.close()
  await withinTime(database.close(), databaseCloseMs).catch((error: unknown) =>
    log.error({ err: error }, 'the database connection did not close'),
  )
}

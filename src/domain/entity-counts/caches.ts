/**
 * The counts that gauges and pages share: one cache per group, so that a failing count affects no other, and readers
 * cause no counts of their own.
 */
import { setImmediate } from 'node:timers/promises'
import type { Database } from '#/database/client.ts'
import { withoutDeadline } from '#/database/deadline.ts'
import { countStored } from '#/domain/row-limits/count-rows.ts'
import type { PopulationGroup } from '#/protocol/vocabulary.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { createTtlCache, type TtlCache, type TtlCacheOptions } from '#/telemetry/ttl-cache.ts'
import {
  countClients,
  countConsents,
  countDeviceCodes,
  countLogoutDeliveries,
  countSessions,
  countTokens,
  countUsers,
} from './entity-counts.ts'

export interface EntityCountOptions {
  readonly recorder: Recorder
  readonly clock: () => Date
  /** 0 counts afresh for every reader. */
  readonly ttlMs: number
  readonly loadTimeoutMs: number
}

const counts = {
  users: countUsers,
  clients: countClients,
  sessions: countSessions,
  tokens: countTokens,
  consents: countConsents,
  logout_deliveries: countLogoutDeliveries,
  device_codes: countDeviceCodes,
  rows: countStored,
} satisfies Record<PopulationGroup, (db: Database, now: Date) => Promise<unknown>>

/** Group -> its cache. */
export type EntityCounts = {
  readonly [G in PopulationGroup]: TtlCache<Awaited<ReturnType<(typeof counts)[G]>>>
}

/** Counts only when read. */
export function createEntityCounts(db: Database, options: EntityCountOptions): EntityCounts {
  const inTurn = createTurns()
  const group = <T>(name: PopulationGroup, count: (db: Database, now: Date) => Promise<T>) =>
    cached(
      name,
      (signal, begin) =>
        inTurn(() => {
          signal.throwIfAborted()
          begin()
          return withoutDeadline(() => count(db, options.clock()))
        }),
      options,
    )
  return {
    users: group('users', counts.users),
    clients: group('clients', counts.clients),
    sessions: group('sessions', counts.sessions),
    tokens: group('tokens', counts.tokens),
    consents: group('consents', counts.consents),
    logout_deliveries: group('logout_deliveries', counts.logout_deliveries),
    device_codes: group('device_codes', counts.device_codes),
    rows: group('rows', counts.rows),
  }
}

/** The counts share one connection: each begins, and is timed, when the one before it has ended. */
function createTurns() {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(run: () => Promise<T>): Promise<T> => {
    const turn = last.then(run)
    // Whoever times it hears of its end before the next one keeps the process busy.
    last = turn.catch(() => undefined).then(() => setImmediate())
    return turn
  }
}

/** The bounds of telemetry: wait little, serve what is not too old, give a failing database time. */
const cached = <T>(
  name: PopulationGroup,
  load: TtlCacheOptions<T>['load'],
  { recorder, ttlMs, loadTimeoutMs }: EntityCountOptions,
): TtlCache<T> =>
  createTtlCache({
    ttlMs,
    loadTimeoutMs,
    maxWaitMs: 250,
    maxStaleMs: 5 * 60_000,
    retryMs: 5000,
    load,
    onLoaded: (seconds) => recorder.populationQueried(name, seconds),
    onError: () => recorder.populationQueryFailed(name),
    onLookup: (outcome) => recorder.cacheLookup('population', outcome),
  })

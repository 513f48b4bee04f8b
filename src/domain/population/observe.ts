/**
 * Population gauges: state is a question put to the database when somebody asks, never a sum of changes. What cannot be
 * counted in time is left out; a false 0 is never observed.
 */
import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api'
import type { Database } from '#/database/client.ts'
import {
  clientStatuses,
  type PopulationGroup,
  storedTokenTypes,
  userAuthSources,
} from '#/protocol/vocabulary.ts'
import { catalogue } from '#/telemetry/catalogue.ts'
import { createGauge } from '#/telemetry/instruments.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { createTtlCache } from '#/telemetry/ttl-cache.ts'
import {
  countClients,
  countConsents,
  countDeviceCodes,
  countLogoutDeliveries,
  countSessions,
  countTokens,
  countUsers,
} from './population.ts'

export interface PopulationOptions {
  readonly recorder: Recorder
  readonly clock: () => Date
  /** 0 counts afresh for every collection. */
  readonly ttlMs: number
  readonly loadTimeoutMs: number
}

interface Group {
  readonly name: PopulationGroup
  readonly gauges: readonly Observable[]
  /** Observes the group when it is known; answers its age in seconds. */
  observe(result: BatchObservableResult): Promise<number | undefined>
}

/** One cache and one callback for each group, so that a count that hangs holds up no other. */
export function observePopulation(meter: Meter, db: Database, options: PopulationOptions): void {
  const age = createGauge(meter, catalogue.populationAge)
  for (const { name, gauges, observe } of createGroups(meter, db, options)) {
    meter.addBatchObservableCallback(
      async (result) => {
        const ageSeconds = await observe(result)
        if (ageSeconds !== undefined) result.observe(age, ageSeconds, { group: name })
      },
      [age, ...gauges],
    )
  }
}

function createGroups(meter: Meter, db: Database, options: PopulationOptions): Group[] {
  const group = groupMaker(options)
  return [...peopleGroups(meter, db, group), ...grantGroups(meter, db, group)]
}

type Make = ReturnType<typeof groupMaker>

const groupMaker =
  (options: PopulationOptions) =>
  <T>(
    name: PopulationGroup,
    count: (now: Date) => Promise<T>,
    gauges: readonly Observable[],
    observe: (result: BatchObservableResult, value: T) => void,
  ): Group => ({
    name,
    gauges,
    observe: cached(name, () => count(options.clock()), { ...options, observe }),
  })

function peopleGroups(meter: Meter, db: Database, group: Make): Group[] {
  const registered = createGauge(meter, catalogue.usersRegistered)
  const active = createGauge(meter, catalogue.usersActive)
  const clients = createGauge(meter, catalogue.clientsRegistered)
  const sessions = createGauge(meter, catalogue.sessionsActive)
  return [
    group(
      'users',
      () => countUsers(db),
      [registered, active],
      (result, counts) => {
        result.observe(registered, counts.registered)
        for (const source of userAuthSources)
          result.observe(active, counts.active[source], { auth_source: source })
      },
    ),
    group(
      'clients',
      () => countClients(db),
      [clients],
      (result, counts) => {
        for (const status of clientStatuses) result.observe(clients, counts[status], { status })
      },
    ),
    group(
      'sessions',
      (now) => countSessions(db, now),
      [sessions],
      (result, n) => result.observe(sessions, n),
    ),
  ]
}

function grantGroups(meter: Meter, db: Database, group: Make): Group[] {
  const tokens = createGauge(meter, catalogue.tokensActive)
  const consents = createGauge(meter, catalogue.consentsActive)
  const deliveries = createGauge(meter, catalogue.logoutDeliveriesPending)
  const devices = createGauge(meter, catalogue.deviceCodesActive)
  const waiting = createGauge(meter, catalogue.deviceCodesPending)
  return [
    group(
      'tokens',
      (now) => countTokens(db, now),
      [tokens],
      (result, counts) => {
        for (const type of storedTokenTypes)
          result.observe(tokens, counts[type], { token_type: type })
      },
    ),
    group(
      'consents',
      () => countConsents(db),
      [consents],
      (result, n) => result.observe(consents, n),
    ),
    group(
      'logout_deliveries',
      () => countLogoutDeliveries(db),
      [deliveries],
      (result, n) => result.observe(deliveries, n),
    ),
    group(
      'device_codes',
      (now) => countDeviceCodes(db, now),
      [devices, waiting],
      (result, { pending, approved }) => {
        result.observe(devices, pending + approved)
        result.observe(waiting, pending)
      },
    ),
  ]
}

/** The bounds of telemetry: wait little, serve what is not too old, give a failing database time. */
function cached<T>(
  name: PopulationGroup,
  count: () => Promise<T>,
  {
    recorder,
    ttlMs,
    loadTimeoutMs,
    observe,
  }: PopulationOptions & { observe: (result: BatchObservableResult, value: T) => void },
) {
  const cache = createTtlCache({
    ttlMs,
    loadTimeoutMs,
    maxWaitMs: 250,
    maxStaleMs: 5 * 60_000,
    retryMs: 5000,
    load: count,
    onLoaded: (seconds) => recorder.populationQueried(name, seconds),
    onError: () => recorder.populationQueryFailed(name),
    onLookup: (outcome) => recorder.cacheLookup('population', outcome),
  })
  return async (result: BatchObservableResult) => {
    const known = await cache.get()
    if (known) observe(result, known.value)
    return known?.ageSeconds
  }
}

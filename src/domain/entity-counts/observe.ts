/**
 * Population gauges: state is a question put to the database when somebody asks, never a sum of changes. What cannot be
 * counted in time is left out; a false 0 is never observed.
 */
import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api'
import {
  clientStatuses,
  storedTokenTypes,
  strangersTables,
  userAuthSources,
} from '#/protocol/vocabulary.ts'
import { catalogue } from '#/telemetry/catalogue.ts'
import { createGauge } from '#/telemetry/instruments.ts'
import type { TtlCache } from '#/telemetry/ttl-cache.ts'
import type { EntityCounts } from './caches.ts'

type Counted<G extends keyof EntityCounts> = EntityCounts[G] extends TtlCache<infer T> ? T : never

interface Gauges<G extends keyof EntityCounts> {
  readonly gauges: readonly Observable[]
  observe(result: BatchObservableResult, value: Counted<G>): void
}

type AllGauges = { readonly [G in keyof EntityCounts]: Gauges<G> }

/** One callback for each group, so that a count that hangs holds up no other. */
export function observeEntityCounts(meter: Meter, entityCounts: EntityCounts): void {
  const age = createGauge(meter, catalogue.populationAge)
  const all: AllGauges = { ...peopleGauges(meter), ...grantGauges(meter) }
  const add = <G extends keyof EntityCounts>(
    group: G,
    cache: TtlCache<Counted<G>>,
    { gauges, observe }: Gauges<G>,
  ) =>
    meter.addBatchObservableCallback(
      async (result) => {
        const known = await cache.get()
        if (!known) return
        observe(result, known.value)
        result.observe(age, known.ageSeconds, { group })
      },
      [age, ...gauges],
    )
  add('users', entityCounts.users, all.users)
  add('clients', entityCounts.clients, all.clients)
  add('sessions', entityCounts.sessions, all.sessions)
  add('tokens', entityCounts.tokens, all.tokens)
  add('consents', entityCounts.consents, all.consents)
  add('logout_deliveries', entityCounts.logout_deliveries, all.logout_deliveries)
  add('device_codes', entityCounts.device_codes, all.device_codes)
  add('rows', entityCounts.rows, all.rows)
}

function peopleGauges(meter: Meter): Pick<AllGauges, 'users' | 'clients' | 'sessions'> {
  const registered = createGauge(meter, catalogue.usersRegistered)
  const active = createGauge(meter, catalogue.usersActive)
  const clients = createGauge(meter, catalogue.clientsRegistered)
  const sessions = createGauge(meter, catalogue.sessionsActive)
  return {
    users: {
      gauges: [registered, active],
      observe(result, counts) {
        result.observe(registered, counts.registered)
        for (const source of userAuthSources)
          result.observe(active, counts.active[source], { auth_source: source })
      },
    },
    clients: {
      gauges: [clients],
      observe(result, counts) {
        for (const status of clientStatuses) result.observe(clients, counts[status], { status })
      },
    },
    sessions: { gauges: [sessions], observe: (result, n) => result.observe(sessions, n) },
  }
}

function grantGauges(meter: Meter): Omit<AllGauges, 'users' | 'clients' | 'sessions'> {
  const tokens = createGauge(meter, catalogue.tokensActive)
  const consents = createGauge(meter, catalogue.consentsActive)
  const deliveries = createGauge(meter, catalogue.logoutDeliveriesPending)
  const devices = createGauge(meter, catalogue.deviceCodesActive)
  const waiting = createGauge(meter, catalogue.deviceCodesPending)
  const rows = createGauge(meter, catalogue.rowsStored)
  return {
    tokens: {
      gauges: [tokens],
      observe(result, counts) {
        for (const type of storedTokenTypes)
          result.observe(tokens, counts[type], { token_type: type })
      },
    },
    consents: { gauges: [consents], observe: (result, n) => result.observe(consents, n) },
    logout_deliveries: {
      gauges: [deliveries],
      observe: (result, n) => result.observe(deliveries, n),
    },
    device_codes: {
      gauges: [devices, waiting],
      observe(result, { pending, approved }) {
        result.observe(devices, pending + approved)
        result.observe(waiting, pending)
      },
    },
    rows: {
      gauges: [rows],
      observe(result, counts) {
        for (const table of strangersTables) result.observe(rows, counts[table], { table })
      },
    },
  }
}

/** Population gauges, limits, caches and housekeeping. */
import {
  boundedTables,
  cacheNames,
  clientStatuses,
  connectionLimits,
  outboundPurposes,
  outboundResults,
  populationGroups,
  rateLimitedEndpoints,
  refusalKinds,
  strangersTables,
  sweeperTasks,
  uncaughtKinds,
  userAuthSources,
} from '#/protocol/vocabulary.ts'
import { databaseBuckets, requestBuckets } from '../buckets.ts'
import { counter, gauge, histogram } from '../series.ts'

export const populations = {
  usersActive: gauge('authgate.users.active', {
    unit: '{user}',
    description: 'Users who can sign in, by where their account came from.',
    labels: { auth_source: userAuthSources },
  }),
  usersRegistered: gauge('authgate.users.registered', {
    unit: '{user}',
    description: 'All users, disabled ones included.',
  }),
  clientsRegistered: gauge('authgate.oauth.clients.registered', {
    unit: '{client}',
    description: 'OAuth clients by status.',
    labels: { status: clientStatuses },
  }),
  rowsStored: gauge('authgate.rows.stored', {
    unit: '{row}',
    description:
      'Rows of tables that unauthenticated requests can grow: for clients those that registered themselves, for audit_events the range of ids.',
    labels: { table: strangersTables },
  }),
  populationAge: gauge('authgate.population.age', {
    unit: 's',
    description: 'Time since the COUNT behind a group of gauges began.',
    labels: { group: populationGroups },
  }),
  populationQueryDuration: histogram('authgate.population.query.duration', {
    unit: 's',
    description: 'Duration of the COUNT behind a group of gauges.',
    labels: { group: populationGroups },
    buckets: databaseBuckets,
  }),
  databaseQueryErrors: counter('database.query.errors', {
    unit: '{error}',
    description: 'COUNTs behind the gauges that failed or timed out.',
    labels: { operation: populationGroups.map((group) => `count_${group}` as const) },
  }),
}

export const housekeeping = {
  rateLimitExceeded: counter('rate_limit.exceeded', {
    unit: '{request}',
    description: 'Requests answered 429, by limiter.',
    labels: { endpoint: [...rateLimitedEndpoints, 'unknown'] },
  }),
  rateLimitChecks: counter('authgate.rate_limit.checks', {
    unit: '{request}',
    description:
      'Rate limit checks; error means the store failed, fallback that it was known to be unreachable and the process counted on its own.',
    labels: {
      endpoint: [...rateLimitedEndpoints, 'unknown'],
      result: ['allowed', 'limited', 'error', 'fallback'],
    },
  }),
  cacheHits: counter('cache.hits', {
    unit: '{lookup}',
    description: 'Lookups answered from memory.',
    labels: { cache_name: cacheNames },
  }),
  cacheMisses: counter('cache.misses', {
    unit: '{lookup}',
    description: 'Lookups that loaded the value.',
    labels: { cache_name: cacheNames },
  }),
  cacheCoalesced: counter('authgate.cache.coalesced', {
    unit: '{lookup}',
    description: "Lookups that waited for another lookup's load.",
    labels: { cache_name: cacheNames },
  }),
  cacheErrors: counter('cache.errors', {
    unit: '{lookup}',
    description: 'Loads that failed; a row that does not exist is not a failure.',
    labels: { cache_name: cacheNames },
  }),
  outboundRequests: counter('authgate.outbound.requests', {
    unit: '{request}',
    description:
      'Requests to URLs that clients registered; refused means an address that is not allowed.',
    labels: { purpose: outboundPurposes, result: outboundResults },
  }),
  outboundRequestDuration: histogram('authgate.outbound.request.duration', {
    unit: 's',
    description: 'Duration of a request to a URL that a client registered.',
    labels: { purpose: outboundPurposes },
    buckets: requestBuckets,
  }),
  rowsRefused: counter('authgate.rows.refused', {
    unit: '{row}',
    description: 'Rows not created, and their requests answered 503, because the table was full.',
    labels: { table: boundedTables },
  }),
  auditEventsDropped: counter('audit.events.dropped', {
    unit: '{event}',
    description: 'Audit events that could not be written.',
  }),
  refusals: counter('authgate.refusals', {
    unit: '{request}',
    description:
      'Refused requests that are written to the audit log, by kind; failed sign-ins have their own series.',
    labels: { kind: refusalKinds },
  }),
  sweeperRows: counter('authgate.sweeper.rows', {
    unit: '{row}',
    description: 'Rows ended or deleted by the sweeper.',
    labels: { task: sweeperTasks },
  }),
  sweeperErrors: counter('authgate.sweeper.errors', {
    unit: '{error}',
    description: 'Sweeper tasks that failed; they are retried at the next sweep.',
    labels: { task: sweeperTasks },
  }),
  sweeperDuration: histogram('authgate.sweeper.duration', {
    unit: 's',
    description: 'Duration of one sweep over all tasks.',
    buckets: requestBuckets,
  }),
  exportFailures: counter('authgate.telemetry.export_failures', {
    unit: '{export}',
    description: 'OTLP exports that failed after their retries.',
    labels: { signal: ['metrics', 'traces'] },
  }),
  uncaughtErrors: counter('authgate.uncaught_errors', {
    unit: '{error}',
    description:
      'Uncaught errors, each of them a bug. After an exception that may have left inconsistent state the process drains and exits with code 1.',
    labels: { kind: uncaughtKinds },
  }),
  connectionsRefused: counter('authgate.connections.refused', {
    unit: '{connection}',
    description:
      'Connections to the public port closed immediately, because their address or the whole server had too many busy ones.',
    labels: { limit: connectionLimits },
  }),
  buildInfo: gauge('authgate.build.info', {
    description: 'Always 1; the labels say which build this is.',
    openLabels: { version: 'package version', commit: 'build commit, or unknown' },
  }),
}

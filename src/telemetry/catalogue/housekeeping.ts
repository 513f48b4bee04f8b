/** What is counted at a scrape, and what the server does for its own good. */
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
    description: 'Accounts that may sign in, by where they came from.',
    labels: { auth_source: userAuthSources },
  }),
  usersRegistered: gauge('authgate.users.registered', {
    unit: '{user}',
    description: 'All accounts, disabled ones included.',
  }),
  clientsRegistered: gauge('authgate.oauth.clients.registered', {
    unit: '{client}',
    description: 'OAuth clients by status.',
    labels: { status: clientStatuses },
  }),
  rowsStored: gauge('authgate.rows.stored', {
    unit: '{row}',
    description:
      'Rows of tables that requests of strangers make grow: of clients those that registered themselves, of audit_events those from the first number to the last.',
    labels: { table: strangersTables },
  }),
  populationAge: gauge('authgate.population.age', {
    unit: 's',
    description: 'Time since the COUNT behind a group of gauges began.',
    labels: { group: populationGroups },
  }),
  populationQueryDuration: histogram('authgate.population.query.duration', {
    unit: 's',
    description: 'Time of the COUNT behind a group of gauges.',
    labels: { group: populationGroups },
    buckets: databaseBuckets,
  }),
  databaseQueryErrors: counter('database.query.errors', {
    unit: '{error}',
    description: 'COUNTs behind the gauges that failed or came too late.',
    labels: { operation: populationGroups.map((group) => `count_${group}` as const) },
  }),
}

export const housekeeping = {
  rateLimitExceeded: counter('rate_limit.exceeded', {
    unit: '{request}',
    description: 'Requests answered 429, by the limiter that refused them.',
    labels: { endpoint: [...rateLimitedEndpoints, 'unknown'] },
  }),
  rateLimitChecks: counter('authgate.rate_limit.checks', {
    unit: '{request}',
    description:
      'Limiters that requests met; error means the store failed, fallback that it was known to be out of reach: then the process counted for itself.',
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
      'Requests to addresses that clients named; refused means an address this server does not ask.',
    labels: { purpose: outboundPurposes, result: outboundResults },
  }),
  outboundRequestDuration: histogram('authgate.outbound.request.duration', {
    unit: 's',
    description: 'Time of a request to an address that a client named.',
    labels: { purpose: outboundPurposes },
    buckets: requestBuckets,
  }),
  rowsRefused: counter('authgate.rows.refused', {
    unit: '{row}',
    description:
      'Rows that were not made, and their requests answered 503, because the table was full.',
    labels: { table: boundedTables },
  }),
  auditEventsDropped: counter('audit.events.dropped', {
    unit: '{event}',
    description: 'Audit events that could not be written.',
  }),
  refusals: counter('authgate.refusals', {
    unit: '{request}',
    description:
      'Requests that were refused and are written to the audit log, by what they were refused for; failed sign-ins have a series of their own.',
    labels: { kind: refusalKinds },
  }),
  sweeperRows: counter('authgate.sweeper.rows', {
    unit: '{row}',
    description: 'Rows ended or deleted by the sweeper.',
    labels: { task: sweeperTasks },
  }),
  sweeperErrors: counter('authgate.sweeper.errors', {
    unit: '{error}',
    description: 'Sweeper tasks that failed; they are tried again at the next turn.',
    labels: { task: sweeperTasks },
  }),
  sweeperDuration: histogram('authgate.sweeper.duration', {
    unit: 's',
    description: 'Time of one turn of the sweeper over all its tasks.',
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
      'Errors that no code has caught: a bug each. After an exception that may have left something half done the process drains and ends with code 1.',
    labels: { kind: uncaughtKinds },
  }),
  connectionsRefused: counter('authgate.connections.refused', {
    unit: '{connection}',
    description:
      'Connections to the public port that were closed at once, because their address or the whole server had too many that were busy.',
    labels: { limit: connectionLimits },
  }),
  buildInfo: gauge('authgate.build.info', {
    description: 'Always 1; the labels say which build this is.',
    openLabels: { version: 'version of the package', commit: 'commit of the build, or unknown' },
  }),
}

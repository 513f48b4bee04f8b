/**
 * Every series this server exports: name, unit, meaning, label values, buckets. THE one home of that fact;
 * the Recorder, the gauges, docs/METRICS.md, and the tests of dashboards and rules are derived from it.
 */
import { oauthErrors } from '#/protocol/errors.ts'
import { grantTypes } from '#/protocol/grant-types.ts'
import {
  cacheNames,
  clientAuthenticationMethods,
  clientStatuses,
  consentDecisions,
  consentFlows,
  consentRevokers,
  loginFailureReasons,
  loginMethods,
  loginSources,
  populationGroups,
  rateLimitedEndpoints,
  refreshResults,
  sessionEndReasons,
  storedTokenTypes,
  sweeperTasks,
  tokenRevocationReasons,
  userAuthSources,
} from '#/protocol/vocabulary.ts'
import { counter, gauge, histogram, observableCounter, upDownCounter } from './series.ts'

const seconds = 1
const minutes = 60 * seconds
const hours = 60 * minutes
const days = 24 * hours

const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const databaseBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const signingBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]
const gcBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
const sessionBuckets = [
  1 * minutes,
  5 * minutes,
  15 * minutes,
  30 * minutes,
  1 * hours,
  2 * hours,
  4 * hours,
  8 * hours,
  12 * hours,
  1 * days,
  7 * days,
  30 * days,
]

const outcomes = ['success', 'failure'] as const
/** `population` answers from its last good value while a load is late, so it can never be `coalesced` or in error here. */
const poolLabel = { 'db.client.connection.pool.name': ['main', 'population'] } as const
const databaseOperations = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'BEGIN', 'other'] as const

export const databaseErrorTypes = ['timeout', 'connection', 'constraint', 'other'] as const
export type DatabaseErrorType = (typeof databaseErrorTypes)[number]

/** OpenTelemetry's list of known methods; every other is `_OTHER`. */
export const httpMethods = [
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'TRACE',
  '_OTHER',
] as const

export const catalogue = {
  // Sign-ins
  authAttempts: counter('auth.attempts', {
    unit: '{attempt}',
    description: 'Credential checks, by what checked them.',
    labels: { method: loginMethods, result: outcomes },
  }),
  authLogin: counter('auth.login', {
    unit: '{login}',
    description: 'Sign-ins, by where the account lives; unknown when no such account exists.',
    labels: { auth_source: [...loginSources, 'unknown'], result: outcomes },
    only: [
      ...loginSources.flatMap((auth_source) => outcomes.map((result) => ({ auth_source, result }))),
      { auth_source: 'unknown', result: 'failure' },
    ],
  }),
  authLoginDuration: histogram('auth.login.duration', {
    unit: 's',
    description: 'Time to answer a sign-in that reached the credential check.',
    labels: { method: loginMethods, result: outcomes },
    buckets: requestBuckets,
  }),
  loginFailures: counter('authgate.login.failures', {
    unit: '{login}',
    description: 'Sign-ins that were refused, by cause.',
    labels: { reason: loginFailureReasons },
  }),
  authLogout: counter('auth.logout', {
    unit: '{logout}',
    description: 'Sessions ended by their own user signing out.',
  }),

  // Sessions
  sessionsCreated: counter('sessions.created', {
    unit: '{session}',
    description: 'Browser sessions started: row committed and cookie saved.',
  }),
  sessionsExpired: counter('sessions.expired', {
    unit: '{session}',
    description: 'Browser sessions ended, counted by whoever ended the row.',
    labels: { reason: sessionEndReasons },
  }),
  sessionDuration: histogram('session.duration', {
    unit: 's',
    description: 'Life of an ended session, from sign-in to its end.',
    buckets: sessionBuckets,
  }),
  sessionsActive: gauge('sessions.active', {
    unit: '{session}',
    description: 'Browser sessions that would be accepted right now.',
  }),

  // Consents
  consentGranted: counter('oauth.consent.granted', {
    unit: '{consent}',
    description: 'Consents saved: new ones, and old ones that gained scopes.',
    labels: { flow: consentFlows },
  }),
  consentRevoked: counter('oauth.consent.revoked', {
    unit: '{consent}',
    description: 'Consents taken back.',
    labels: { actor: consentRevokers },
  }),
  consentDecisions: counter('authgate.consent.decisions', {
    unit: '{decision}',
    description: 'Authorization requests by how the question of consent was answered.',
    labels: { decision: consentDecisions },
  }),
  consentsActive: gauge('authgate.consents.active', {
    unit: '{consent}',
    description: 'Consents in force.',
  }),

  // Codes and tokens
  authorizationCodes: counter('authgate.authorization_codes', {
    unit: '{code}',
    description: 'Authorization codes issued, redeemed, and presented a second time.',
    labels: { event: ['issued', 'redeemed', 'replayed'] },
  }),
  tokensIssued: counter('oauth.tokens.issued', {
    unit: '{token}',
    description: 'Tokens handed to clients.',
    labels: { token_type: [...storedTokenTypes, 'id'], grant_type: grantTypes },
  }),
  tokensRefreshed: counter('oauth.tokens.refreshed', {
    unit: '{request}',
    description: 'Refresh requests by outcome; grace is the same client retrying, reuse is not.',
    labels: { result: refreshResults },
  }),
  tokensRevoked: counter('oauth.tokens.revoked', {
    unit: '{token}',
    description: 'Live tokens ended before their time, by rows really changed.',
    labels: { reason: tokenRevocationReasons, token_type: storedTokenTypes },
    only: tokenRevocationReasons.flatMap((reason) =>
      storedTokenTypes
        .filter((token_type) => reason !== 'rotation' || token_type === 'refresh')
        .map((token_type) => ({ reason, token_type })),
    ),
  }),
  tokensActive: gauge('oauth.tokens.active', {
    unit: '{token}',
    description: 'Stored tokens that would be accepted right now.',
    labels: { token_type: storedTokenTypes },
  }),
  tokenValidation: counter('oauth.token.validation', {
    unit: '{token}',
    description: 'Access tokens presented to this server.',
    labels: { result: ['valid', 'invalid', 'expired'] },
  }),
  tokenValidationDuration: histogram('oauth.token.validation.duration', {
    unit: 's',
    description: 'Time to check one access token.',
    buckets: databaseBuckets,
  }),
  tokenGenerationDuration: histogram('oauth.token.generation.duration', {
    unit: 's',
    description: 'Time to sign one token.',
    buckets: signingBuckets,
  }),
  clientAuthentications: counter('authgate.client.authentications', {
    unit: '{attempt}',
    description: 'Client authentication at the back-channel endpoints.',
    labels: { method: clientAuthenticationMethods, result: outcomes },
  }),
  oauthErrors: counter('authgate.oauth.errors', {
    unit: '{error}',
    description: 'Protocol errors answered, by endpoint and RFC error code.',
    labels: {
      endpoint: Object.keys(oauthErrors) as (keyof typeof oauthErrors)[],
      error: [...new Set(Object.values(oauthErrors).flat())],
    },
    only: Object.entries(oauthErrors).flatMap(([endpoint, errors]) =>
      errors.map((error) => ({ endpoint: endpoint as keyof typeof oauthErrors, error })),
    ),
  }),

  // Populations
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
    labels: {
      operation: [
        'count_users',
        'count_clients',
        'count_sessions',
        'count_tokens',
        'count_consents',
      ],
    },
  }),

  // Limits, caches, housekeeping
  rateLimitExceeded: counter('rate_limit.exceeded', {
    unit: '{request}',
    description: 'Requests answered 429, by the limiter that refused them.',
    labels: { endpoint: [...rateLimitedEndpoints, 'unknown'] },
  }),
  rateLimitChecks: counter('authgate.rate_limit.checks', {
    unit: '{request}',
    description:
      'Requests that met a limiter; error means its store failed and the request was let through.',
    labels: {
      endpoint: [...rateLimitedEndpoints, 'unknown'],
      result: ['allowed', 'limited', 'error'],
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
  auditEventsDropped: counter('audit.events.dropped', {
    unit: '{event}',
    description: 'Audit events that could not be written.',
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
  buildInfo: gauge('authgate.build.info', {
    description: 'Always 1; the labels say which build this is.',
    openLabels: { version: 'version of the package', commit: 'commit of the build, or unknown' },
  }),

  // HTTP, database, runtime: OpenTelemetry semantic conventions
  httpRequestDuration: histogram('http.server.request.duration', {
    unit: 's',
    description: 'Time to answer a request.',
    labels: { 'http.request.method': httpMethods },
    openLabels: {
      'http.route': 'matched route template; absent when none matched',
      'http.response.status_code': 'status sent',
      'url.scheme': 'http or https',
    },
    buckets: requestBuckets,
  }),
  httpActiveRequests: upDownCounter('http.server.active_requests', {
    unit: '{request}',
    description: 'Requests being answered.',
    labels: { 'http.request.method': httpMethods, 'url.scheme': ['http', 'https'] },
  }),
  databaseOperationDuration: histogram('db.client.operation.duration', {
    unit: 's',
    description: 'Time of one database statement; BEGIN is a whole transaction.',
    labels: { 'db.operation.name': databaseOperations, 'db.system.name': ['postgresql'] },
    openLabels: { 'error.type': 'timeout, connection, constraint or other; absent on success' },
    buckets: databaseBuckets,
  }),
  databaseConnectionsMax: gauge('db.client.connection.max', {
    unit: '{connection}',
    description: 'Most connections the pool may open.',
    labels: poolLabel,
  }),
  databaseConnectionsUsed: gauge('db.client.connection.count', {
    unit: '{connection}',
    description: 'Connections of the pool that are answering a statement or holding a transaction.',
    labels: { ...poolLabel, 'db.client.connection.state': ['used'] },
  }),
  databasePendingRequests: gauge('db.client.connection.pending_requests', {
    unit: '{request}',
    description: 'Statements and transactions that wait behind others for a connection.',
    labels: poolLabel,
  }),
  eventLoopDelayMin: gauge('nodejs.eventloop.delay.min', {
    unit: 's',
    description: 'Least event loop delay since the last collection.',
  }),
  eventLoopDelayMax: gauge('nodejs.eventloop.delay.max', {
    unit: 's',
    description: 'Greatest event loop delay since the last collection.',
  }),
  eventLoopDelayMean: gauge('nodejs.eventloop.delay.mean', {
    unit: 's',
    description: 'Mean event loop delay since the last collection.',
  }),
  eventLoopDelayStddev: gauge('nodejs.eventloop.delay.stddev', {
    unit: 's',
    description: 'Standard deviation of the event loop delay since the last collection.',
  }),
  eventLoopDelayP50: gauge('nodejs.eventloop.delay.p50', {
    unit: 's',
    description: 'Median event loop delay since the last collection.',
  }),
  eventLoopDelayP90: gauge('nodejs.eventloop.delay.p90', {
    unit: 's',
    description: '90th percentile of the event loop delay since the last collection.',
  }),
  eventLoopDelayP99: gauge('nodejs.eventloop.delay.p99', {
    unit: 's',
    description: '99th percentile of the event loop delay since the last collection.',
  }),
  eventLoopUtilization: gauge('nodejs.eventloop.utilization', {
    unit: '1',
    description: 'Share of time the event loop was busy since the last collection.',
  }),
  eventLoopTime: observableCounter('nodejs.eventloop.time', {
    unit: 's',
    description: 'Time the event loop spent in each state.',
    labels: { 'nodejs.eventloop.state': ['active', 'idle'] },
  }),
  gcDuration: histogram('v8js.gc.duration', {
    unit: 's',
    description: 'Time of one garbage collection.',
    labels: { 'v8js.gc.type': ['major', 'minor', 'incremental', 'weakcb'] },
    buckets: gcBuckets,
  }),
  heapUsed: gauge('v8js.memory.heap.used', {
    unit: 'By',
    description: 'Heap in use, by space.',
    openLabels: { 'v8js.heap.space.name': 'V8 heap space' },
  }),
  heapLimit: gauge('v8js.memory.heap.limit', {
    unit: 'By',
    description: 'Heap reserved, by space.',
    openLabels: { 'v8js.heap.space.name': 'V8 heap space' },
  }),
  processCpuTime: observableCounter('process.cpu.time', {
    unit: 's',
    description: 'Processor time of the process.',
    labels: { 'cpu.mode': ['user', 'system'] },
  }),
  processMemory: gauge('process.memory.usage', {
    unit: 'By',
    description: 'Resident memory of the process.',
  }),
  processUptime: gauge('process.uptime', {
    unit: 's',
    description: 'Time since the process started.',
  }),
  processOpenFiles: gauge('process.open_file_descriptor.count', {
    unit: '{file_descriptor}',
    description: 'Open file descriptors; absent where the system does not tell.',
  }),
} as const

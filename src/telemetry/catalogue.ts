/**
 * Every series this server exports: name, unit, meaning, label values, buckets. THE one home of that fact;
 * the Recorder, the gauges, docs/METRICS.md, and the tests of dashboards and rules are derived from it.
 */
import { oauthErrors } from '#/protocol/errors.ts'
import { type GrantType, grantTypes } from '#/protocol/grant-types.ts'
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
  logoutDeliveryResults,
  outboundPurposes,
  outboundResults,
  populationGroups,
  rateLimitedEndpoints,
  refreshResults,
  sessionEndReasons,
  storedTokenTypes,
  sweeperTasks,
  tokenRevocationReasons,
  userAuthSources,
} from '#/protocol/vocabulary.ts'
import {
  databaseBuckets,
  deliveryBuckets,
  requestBuckets,
  sessionBuckets,
  signingBuckets,
} from './buckets.ts'
import { database, http, runtime } from './conventions.ts'
import { counter, gauge, histogram, type Series } from './series.ts'

const outcomes = ['success', 'failure'] as const

const signIns = {
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
}

const sessions = {
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
}

const logouts = {
  logoutDeliveries: counter('authgate.logout.deliveries', {
    unit: '{attempt}',
    description:
      'Attempts to tell a client that a session has ended; given_up means it will not hear of it.',
    labels: { result: logoutDeliveryResults },
  }),
  logoutDeliveryDuration: histogram('authgate.logout.delivery.duration', {
    unit: 's',
    description: 'Time from the end of a session to the moment its client knew.',
    buckets: deliveryBuckets,
  }),
  logoutDeliveriesPending: gauge('authgate.logout.deliveries.pending', {
    unit: '{delivery}',
    description: 'Clients that are still to be told of the end of a session.',
  }),
}

const consents = {
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
}

/** Machines get access tokens alone: nobody is there to be named by an ID token, and the client can ask again. */
const tokensOfGrant = (grantType: GrantType) =>
  grantType === 'client_credentials' ||
  grantType === 'urn:ietf:params:oauth:grant-type:token-exchange'
    ? (['access'] as const)
    : ([...storedTokenTypes, 'id'] as const)

const tokens = {
  authorizationCodes: counter('authgate.authorization_codes', {
    unit: '{code}',
    description: 'Authorization codes issued, redeemed, and presented a second time.',
    labels: { event: ['issued', 'redeemed', 'replayed'] },
  }),
  tokensIssued: counter('oauth.tokens.issued', {
    unit: '{token}',
    description: 'Tokens handed to clients.',
    labels: { token_type: [...storedTokenTypes, 'id'], grant_type: grantTypes },
    only: grantTypes.flatMap((grant_type) =>
      tokensOfGrant(grant_type).map((token_type) => ({ token_type, grant_type })),
    ),
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
}

const populations = {
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
    labels: { operation: populationGroups.map((group) => `count_${group}` as const) },
  }),
}

const housekeeping = {
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
}

/** Every series, by the name that code calls it. */
export const catalogue = {
  ...signIns,
  ...sessions,
  ...logouts,
  ...consents,
  ...tokens,
  ...populations,
  ...housekeeping,
  ...http,
  ...database,
  ...runtime,
}

/** The same series under the headings of docs/METRICS.md. */
export const catalogueGroups: Readonly<Record<string, Readonly<Record<string, Series>>>> = {
  'Sign-ins': signIns,
  Sessions: sessions,
  'Back-channel logout': logouts,
  Consents: consents,
  'Codes and tokens': tokens,
  Populations: populations,
  'Limits, caches, housekeeping': housekeeping,
  HTTP: http,
  Database: database,
  Runtime: runtime,
}

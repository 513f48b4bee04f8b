/** Signing in, sessions, telling of their end, consents. */
import {
  consentDecisions,
  consentFlows,
  consentRevokers,
  externalApiResults,
  loginFailureReasons,
  loginMethods,
  loginSources,
  logoutDeliveryResults,
  outcomes,
  sessionEndReasons,
  upstreamOperations,
  upstreamProviders,
  upstreamResults,
} from '#/protocol/vocabulary.ts'
import { deliveryBuckets, requestBuckets, sessionBuckets } from '../buckets.ts'
import { counter, gauge, histogram } from '../series.ts'

export const signIns = {
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
  externalApiDuration: histogram('auth.external_api.duration', {
    unit: 's',
    description:
      'Time until the API that checks passwords had answered, retries and waits included.',
    labels: { result: externalApiResults },
    buckets: requestBuckets,
  }),
  externalApiRetries: counter('auth.external_api.retries', {
    unit: '{request}',
    description: 'Requests to the API that checks passwords that were made once more.',
  }),
  upstreamCallbacks: counter('auth.oauth.callback', {
    unit: '{callback}',
    description: 'Browsers that came back from an identity provider, by how they were answered.',
    labels: { provider: upstreamProviders, result: upstreamResults },
  }),
  upstreamDuration: histogram('authgate.upstream.request.duration', {
    unit: 's',
    description: 'Time an identity provider took to answer, or to fail to.',
    labels: { provider: upstreamProviders, operation: upstreamOperations },
    buckets: requestBuckets,
  }),
  authLogout: counter('auth.logout', {
    unit: '{logout}',
    description: 'Sessions ended by their own user signing out.',
  }),
}

export const sessions = {
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

export const logouts = {
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

export const consents = {
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

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
    description: 'Credential checks, by method.',
    labels: { method: loginMethods, result: outcomes },
  }),
  authLogin: counter('auth.login', {
    unit: '{login}',
    description: 'Sign-ins, by where the account is kept; unknown when no such account exists.',
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
    description: 'Failed sign-ins, by reason.',
    labels: { reason: loginFailureReasons },
  }),
  externalApiDuration: histogram('auth.external_api.duration', {
    unit: 's',
    description: 'Time until the external sign-in API had answered, retries and waits included.',
    labels: { result: externalApiResults },
    buckets: requestBuckets,
  }),
  externalApiRetries: counter('auth.external_api.retries', {
    unit: '{request}',
    description: 'Retries of requests to the external sign-in API.',
  }),
  upstreamCallbacks: counter('auth.oauth.callback', {
    unit: '{callback}',
    description: 'Browsers that returned from an identity provider, by result.',
    labels: { provider: upstreamProviders, result: upstreamResults },
  }),
  upstreamDuration: histogram('authgate.upstream.request.duration', {
    unit: 's',
    description: 'Time an identity provider took to answer or fail.',
    labels: { provider: upstreamProviders, operation: upstreamOperations },
    buckets: requestBuckets,
  }),
  authLogout: counter('auth.logout', {
    unit: '{logout}',
    description: 'Sessions ended by their user signing out.',
  }),
}

export const sessions = {
  sessionsCreated: counter('sessions.created', {
    unit: '{session}',
    description: 'Browser sessions started: row committed and cookie saved.',
  }),
  sessionsExpired: counter('sessions.expired', {
    unit: '{session}',
    description: 'Browser sessions ended, each counted once, by reason.',
    labels: { reason: sessionEndReasons },
  }),
  sessionDuration: histogram('session.duration', {
    unit: 's',
    description: 'Duration of an ended session, from sign-in to its end.',
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
      'Attempts to notify a client of the end of a session; given_up means that it will not be notified.',
    labels: { result: logoutDeliveryResults },
  }),
  logoutDeliveryDuration: histogram('authgate.logout.delivery.duration', {
    unit: 's',
    description: 'Time from the end of a session to the notification of its client.',
    buckets: deliveryBuckets,
  }),
  logoutDeliveriesPending: gauge('authgate.logout.deliveries.pending', {
    unit: '{delivery}',
    description: 'Clients still to be notified of the end of a session.',
  }),
}

export const consents = {
  consentGranted: counter('oauth.consent.granted', {
    unit: '{consent}',
    description: 'Consents saved: new ones, and existing ones that gained scopes.',
    labels: { flow: consentFlows },
  }),
  consentRevoked: counter('oauth.consent.revoked', {
    unit: '{consent}',
    description: 'Consents revoked.',
    labels: { actor: consentRevokers },
  }),
  consentDecisions: counter('authgate.consent.decisions', {
    unit: '{decision}',
    description: 'Authorization requests, by consent decision.',
    labels: { decision: consentDecisions },
  }),
  consentsActive: gauge('authgate.consents.active', {
    unit: '{consent}',
    description: 'Active consents.',
  }),
}

/**
 * Every limiter of requests: what it counts, for whom, and against what. docs/LIMITS.md follows from this list. Limits
 * of guessing are charged first and given back when the guess was right; limits of failures are charged once something
 * failed, so that what succeeds is never held up by what somebody else of the same address got wrong.
 */
import type { RateLimitedEndpoint } from '#/protocol/vocabulary.ts'

export interface LimitRow {
  readonly endpoint: RateLimitedEndpoint
  /** The rate that is set, or the fixed number. */
  readonly limit: RateName | number
  readonly windowMs?: number
  readonly counts: string
  /** `networks`: an address and, with more room, the networks around it. */
  readonly per: string
  readonly guards: 'guessing' | 'flooding' | 'rows'
}

/** How many a minute, as it is set. */
export type RateName =
  | 'login'
  | 'loginAddress'
  | 'loginAccount'
  | 'upstreamLogin'
  | 'authorize'
  | 'token'
  | 'register'
  | 'apps'
  | 'introspect'
  | 'revoke'
  | 'deviceCode'
  | 'deviceVerify'
  | 'devicePoll'
  | 'client'
  | 'endpointCeiling'
  | 'requestCeiling'

export const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** Failures of one account within a day, beyond which unknown browsers have to wait between attempts. */
export const failuresWithoutPause = 50

const networks = 'address and network'
const failures = 'requests that fail'

const ceiling = (endpoint: RateLimitedEndpoint) =>
  ({
    endpoint,
    limit: 'endpointCeiling',
    counts: 'all requests',
    per: networks,
    guards: 'flooding',
  }) as const

const failed = (endpoint: RateLimitedEndpoint, limit: RateName, counts = failures) =>
  ({ endpoint, limit, counts, per: networks, guards: 'flooding' }) as const

const ofClient = (endpoint: RateLimitedEndpoint) =>
  ({
    endpoint,
    limit: 'client',
    counts: 'all requests',
    per: 'client that has authenticated',
    guards: 'flooding',
  }) as const

const guesses = (endpoint: RateLimitedEndpoint, limit: RateName | number, per: string) =>
  ({ endpoint, limit, counts: 'wrong passwords', per, guards: 'guessing' }) as const

const userCodes = (per: string) =>
  ({
    endpoint: '/device/verify',
    limit: 'deviceVerify',
    counts: 'wrong user codes',
    per,
    guards: 'guessing',
  }) as const

export const limitTable = {
  login: guesses('/login', 'login', 'account and network, or account and known browser'),
  'login-address': guesses('/login', 'loginAddress', networks),
  'login-account': guesses('/login', 'loginAccount', 'account, unknown browsers'),
  'login-day': {
    ...guesses('/login', failuresWithoutPause, 'account, unknown browsers'),
    windowMs: dayMs,
  },
  'login-pause': guesses('/login', 1, 'account and /24 or /48, in a pause of at most a minute'),
  'login-ceiling': ceiling('/login'),
  password: guesses('/account/security/password', 'login', 'account'),
  'upstream-login': failed('/auth/login', 'upstreamLogin'),
  'upstream-login-ceiling': ceiling('/auth/login'),
  'upstream-callback': failed('/auth/callback', 'upstreamLogin'),
  'upstream-callback-ceiling': ceiling('/auth/callback'),
  authorize: failed('/oauth/authorize', 'authorize'),
  'authorize-ceiling': ceiling('/oauth/authorize'),
  par: failed('/oauth/par', 'token'),
  'par-client': ofClient('/oauth/par'),
  'par-ceiling': ceiling('/oauth/par'),
  token: failed('/oauth/token', 'token'),
  'token-client': ofClient('/oauth/token'),
  'token-device': failed('/oauth/token', 'devicePoll', 'polls of devices that fail'),
  'token-ceiling': ceiling('/oauth/token'),
  introspect: failed('/oauth/introspect', 'introspect', 'wrong secrets, malformed requests'),
  'introspect-client': ofClient('/oauth/introspect'),
  revoke: failed('/oauth/revoke', 'revoke'),
  'revoke-client': ofClient('/oauth/revoke'),
  'revoke-ceiling': ceiling('/oauth/revoke'),
  'device-code': failed('/oauth/device/code', 'deviceCode'),
  'device-code-ceiling': ceiling('/oauth/device/code'),
  'device-verify': userCodes(networks),
  'device-verify-session': userCodes('session'),
  register: {
    endpoint: '/oauth/register',
    limit: 'register',
    counts: 'registrations and changes, and wrong tokens',
    per: networks,
    guards: 'rows',
  },
  apps: {
    endpoint: '/apps',
    limit: 'apps',
    counts: 'registrations',
    per: 'user',
    guards: 'rows',
  },
  'access-token': {
    endpoint: 'any',
    limit: 'endpointCeiling',
    counts: 'requests to userinfo and the like',
    per: 'valid access token, in each process',
    guards: 'flooding',
  },
  requests: {
    endpoint: 'any',
    limit: 'requestCeiling',
    counts: 'all requests but those of authenticated clients and valid access tokens',
    per: `${networks}, in each process`,
    guards: 'flooding',
  },
} as const satisfies Record<string, LimitRow>

export type LimiterName = keyof typeof limitTable

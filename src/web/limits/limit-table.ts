/**
 * Every limiter of requests: what it counts, for whom, and against what. docs/LIMITS.md follows from this list. Limits
 * of guessing are charged first and given back when the guess was right; limits of failures are charged once something
 * failed, so that what succeeds is never held up by what somebody else of the same address got wrong.
 */
import type { RateLimitedEndpoint } from '#/protocol/vocabulary.ts'

export interface LimitRow {
  readonly endpoint: RateLimitedEndpoint
  /** The setting that says how many, or the fixed number. */
  readonly limit: LimitSetting | number
  readonly windowMs?: number
  readonly counts: string
  /** `networks`: an address and, with more room, the networks around it. */
  readonly per: string
  readonly guards: 'guessing' | 'flooding' | 'rows'
}

export type LimitSetting =
  | 'LOGIN_RATE_LIMIT'
  | 'LOGIN_ADDRESS_RATE_LIMIT'
  | 'LOGIN_ACCOUNT_RATE_LIMIT'
  | 'OAUTH_LOGIN_RATE_LIMIT'
  | 'AUTHORIZE_RATE_LIMIT'
  | 'TOKEN_RATE_LIMIT'
  | 'DYNAMIC_CLIENT_REGISTRATION_RATE_LIMIT'
  | 'APP_RATE_LIMIT'
  | 'INTROSPECT_RATE_LIMIT'
  | 'REVOKE_RATE_LIMIT'
  | 'DEVICE_CODE_RATE_LIMIT'
  | 'DEVICE_VERIFY_RATE_LIMIT'
  | 'DEVICE_POLL_RATE_LIMIT'
  | 'CLIENT_RATE_LIMIT'
  | 'ENDPOINT_CEILING'
  | 'REQUEST_CEILING'

export const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** Failures of one account within a day, beyond which unknown browsers have to wait between attempts. */
export const failuresWithoutPause = 50

const networks = 'address and network'
const failures = 'requests that fail'

const ceiling = (endpoint: RateLimitedEndpoint) =>
  ({
    endpoint,
    limit: 'ENDPOINT_CEILING',
    counts: 'all requests',
    per: networks,
    guards: 'flooding',
  }) as const

const failed = (endpoint: RateLimitedEndpoint, limit: LimitSetting, counts = failures) =>
  ({ endpoint, limit, counts, per: networks, guards: 'flooding' }) as const

const ofClient = (endpoint: RateLimitedEndpoint) =>
  ({
    endpoint,
    limit: 'CLIENT_RATE_LIMIT',
    counts: 'all requests',
    per: 'client that has authenticated',
    guards: 'flooding',
  }) as const

const guesses = (endpoint: RateLimitedEndpoint, limit: LimitSetting | number, per: string) =>
  ({ endpoint, limit, counts: 'wrong passwords', per, guards: 'guessing' }) as const

const userCodes = (per: string) =>
  ({
    endpoint: '/device/verify',
    limit: 'DEVICE_VERIFY_RATE_LIMIT',
    counts: 'wrong user codes',
    per,
    guards: 'guessing',
  }) as const

export const limitTable = {
  login: guesses('/login', 'LOGIN_RATE_LIMIT', 'account and network, or account and known browser'),
  'login-address': guesses('/login', 'LOGIN_ADDRESS_RATE_LIMIT', networks),
  'login-account': guesses('/login', 'LOGIN_ACCOUNT_RATE_LIMIT', 'account, unknown browsers'),
  'login-day': {
    ...guesses('/login', failuresWithoutPause, 'account, unknown browsers'),
    windowMs: dayMs,
  },
  'login-pause': guesses('/login', 1, 'account and /24 or /48, in a pause of at most a minute'),
  'login-ceiling': ceiling('/login'),
  password: guesses('/account/security/password', 'LOGIN_RATE_LIMIT', 'account'),
  'upstream-login': failed('/auth/login', 'OAUTH_LOGIN_RATE_LIMIT'),
  'upstream-login-ceiling': ceiling('/auth/login'),
  'upstream-callback': failed('/auth/callback', 'OAUTH_LOGIN_RATE_LIMIT'),
  'upstream-callback-ceiling': ceiling('/auth/callback'),
  authorize: failed('/oauth/authorize', 'AUTHORIZE_RATE_LIMIT'),
  'authorize-ceiling': ceiling('/oauth/authorize'),
  par: failed('/oauth/par', 'TOKEN_RATE_LIMIT'),
  'par-client': ofClient('/oauth/par'),
  'par-ceiling': ceiling('/oauth/par'),
  token: failed('/oauth/token', 'TOKEN_RATE_LIMIT'),
  'token-client': ofClient('/oauth/token'),
  'token-device': failed('/oauth/token', 'DEVICE_POLL_RATE_LIMIT', 'polls of devices that fail'),
  'token-ceiling': ceiling('/oauth/token'),
  introspect: failed(
    '/oauth/introspect',
    'INTROSPECT_RATE_LIMIT',
    'wrong secrets, malformed requests',
  ),
  'introspect-client': ofClient('/oauth/introspect'),
  revoke: failed('/oauth/revoke', 'REVOKE_RATE_LIMIT'),
  'revoke-client': ofClient('/oauth/revoke'),
  'revoke-ceiling': ceiling('/oauth/revoke'),
  'device-code': failed('/oauth/device/code', 'DEVICE_CODE_RATE_LIMIT'),
  'device-code-ceiling': ceiling('/oauth/device/code'),
  'device-verify': userCodes(networks),
  'device-verify-session': userCodes('session'),
  register: {
    endpoint: '/oauth/register',
    limit: 'DYNAMIC_CLIENT_REGISTRATION_RATE_LIMIT',
    counts: 'registrations and changes, and wrong tokens',
    per: networks,
    guards: 'rows',
  },
  apps: {
    endpoint: '/apps',
    limit: 'APP_RATE_LIMIT',
    counts: 'registrations',
    per: 'user',
    guards: 'rows',
  },
  'access-token': {
    endpoint: 'any',
    limit: 'ENDPOINT_CEILING',
    counts: 'requests to userinfo and the like',
    per: 'valid access token, in each process',
    guards: 'flooding',
  },
  requests: {
    endpoint: 'any',
    limit: 'REQUEST_CEILING',
    counts: 'all requests but those of authenticated clients and valid access tokens',
    per: `${networks}, in each process`,
    guards: 'flooding',
  },
} as const satisfies Record<string, LimitRow>

export type LimiterName = keyof typeof limitTable

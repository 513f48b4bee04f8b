/** How much anybody may ask of the server; `web/limits/limit-table.ts` says what each rate counts. */
import { z } from 'zod'
import { flag, whole } from './parsers.ts'
import { type Area, noProblems, type Settings, setting, type ValuesOf } from './setting.ts'

const redisUrl = z
  .string()
  .refine(
    (text) => /^rediss?:\/\//.test(text) && URL.canParse(text),
    'write redis://host:6379 or rediss://…',
  )

const rate = whole(1, 1_000_000)

const settings = {
  REDIS_URL: setting(
    redisUrl,
    undefined,
    'Redis for rate limits shared by all replicas. Unset: each process counts on its own.',
    { secret: true },
  ),
  ENABLE_RATE_LIMIT: setting(flag, 'true', 'Enable rate limits.'),
  LOGIN_RATE_LIMIT: setting(
    rate,
    '5',
    'Wrong passwords per minute for one account from one address (or one known browser of the account), twice that from its IPv6 /56, four times from its /24 or /48; also wrong current passwords of one account when it is changed.',
  ),
  LOGIN_ADDRESS_RATE_LIMIT: setting(
    rate,
    '120',
    'Wrong passwords per minute from one address, whatever the accounts; more for the networks around it, as above.',
  ),
  LOGIN_ACCOUNT_RATE_LIMIT: setting(
    rate,
    '100',
    'Wrong passwords per minute for one account from all unknown browsers together; beyond it each network has one attempt a minute. A browser that has signed in to the account before is not affected.',
  ),
  OAUTH_LOGIN_RATE_LIMIT: setting(
    rate,
    '30',
    'Failures per minute and address at `/auth/login` and, counted apart, at `/auth/callback`.',
  ),
  AUTHORIZE_RATE_LIMIT: setting(
    rate,
    '60',
    'Requests per minute and address to `/oauth/authorize` that fail.',
  ),
  TOKEN_RATE_LIMIT: setting(
    rate,
    '120',
    'Requests per minute and address to `/oauth/token`, and to `/oauth/par`, that fail without a valid client secret.',
  ),
  DYNAMIC_CLIENT_REGISTRATION_RATE_LIMIT: setting(
    rate,
    '5',
    'Clients that register, or change their registration, per minute and address.',
  ),
  APP_RATE_LIMIT: setting(rate, '10', 'Apps that one user may register per minute.'),
  INTROSPECT_RATE_LIMIT: setting(
    rate,
    '20',
    'Requests per minute and address to `/oauth/introspect` without valid client authentication.',
  ),
  REVOKE_RATE_LIMIT: setting(
    rate,
    '20',
    'Requests per minute and address to `/oauth/revoke` that end nothing, or fail, without a valid client secret.',
  ),
  DEVICE_CODE_RATE_LIMIT: setting(
    rate,
    '10',
    'Requests per minute and address to `/oauth/device/code` that fail.',
  ),
  DEVICE_VERIFY_RATE_LIMIT: setting(
    rate,
    '10',
    'Wrong device codes that one address, and one session, may try per minute.',
  ),
  DEVICE_POLL_RATE_LIMIT: setting(
    rate,
    '240',
    'Failed polls per minute and address to `/oauth/token`, by devices of public clients; a pending answer is not a failure.',
  ),
  CLIENT_RATE_LIMIT: setting(
    rate,
    '6000',
    'Requests per minute of one authenticated client to each endpoint, whatever its addresses; a resource server that introspects every token may need more.',
  ),
  ENDPOINT_CEILING: setting(
    rate,
    '6000',
    'Requests per minute from one address, failed or not, to each expensive endpoint: sign-in, authorization, token, device codes and the like. Also those that one access token may make to userinfo.',
  ),
  REQUEST_CEILING: setting(
    rate,
    '30000',
    'All requests per minute from one address to one process, except those of authenticated clients and valid access tokens, probes, discovery and assets.',
  ),
  MAX_AUTHORIZATION_REQUESTS: setting(
    whole(1),
    '100000',
    'Maximum number of stored authorization requests, pushed or not; further ones are answered with 503.',
  ),
  MAX_DEVICE_CODES: setting(
    whole(1),
    '200000',
    'Maximum number of stored device codes, including those that ended within a day; further requests are answered with 503.',
  ),
  MAX_USED_PROOFS: setting(
    whole(1),
    '2000000',
    'Maximum number of remembered client assertions, DPoP proofs and request objects; requests with further ones are answered with 503.',
  ),
  DYNAMIC_CLIENT_REGISTRATION_MAX: setting(
    whole(1),
    '10000',
    'Maximum number of self-registered clients; further registrations are answered with 503.',
  ),
} satisfies Settings

type Values = ValuesOf<typeof settings>

/** What the rates are called, and the settings they come from. */
export const rateSettings = {
  login: 'LOGIN_RATE_LIMIT',
  loginAddress: 'LOGIN_ADDRESS_RATE_LIMIT',
  loginAccount: 'LOGIN_ACCOUNT_RATE_LIMIT',
  upstreamLogin: 'OAUTH_LOGIN_RATE_LIMIT',
  authorize: 'AUTHORIZE_RATE_LIMIT',
  token: 'TOKEN_RATE_LIMIT',
  register: 'DYNAMIC_CLIENT_REGISTRATION_RATE_LIMIT',
  apps: 'APP_RATE_LIMIT',
  introspect: 'INTROSPECT_RATE_LIMIT',
  revoke: 'REVOKE_RATE_LIMIT',
  deviceCode: 'DEVICE_CODE_RATE_LIMIT',
  deviceVerify: 'DEVICE_VERIFY_RATE_LIMIT',
  devicePoll: 'DEVICE_POLL_RATE_LIMIT',
  client: 'CLIENT_RATE_LIMIT',
  endpointCeiling: 'ENDPOINT_CEILING',
  requestCeiling: 'REQUEST_CEILING',
} as const satisfies Record<string, keyof Values>

type Rates = Readonly<Record<keyof typeof rateSettings, number>>

const readRates = (v: Values) =>
  Object.fromEntries(
    Object.entries(rateSettings).map(([name, setting]) => [name, v[setting]]),
  ) as Rates

const read = (v: Values) => ({
  enabled: v.ENABLE_RATE_LIMIT,
  redisUrl: v.REDIS_URL,
  ...readRates(v),
  /** Most rows that strangers may leave in a table. */
  rows: {
    clients: v.DYNAMIC_CLIENT_REGISTRATION_MAX,
    authorization_requests: v.MAX_AUTHORIZATION_REQUESTS,
    device_codes: v.MAX_DEVICE_CODES,
    used_proofs: v.MAX_USED_PROOFS,
  },
})

export const limits = { title: 'Limits', settings, problems: noProblems, read } satisfies Area

/**
 * The only reader of the environment. Each setting is written once, with its schema, default and meaning;
 * docs/CONFIGURATION.md and `.env.example` follow from this list. Every problem is reported at once.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { join } from 'node:path'
import { z } from 'zod'
import { ConnectionStringError, parseConnectionString } from '#/database/connection-string.ts'
import { isPrivateUseScheme } from '#/protocol/redirect-uri.ts'
import { reservedUsernames } from '#/protocol/reserved-usernames.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import { signingAlgorithms } from '#/protocol/vocabulary.ts'

const duration = z.string().transform((text, context) => {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(text)
  if (!match || text === '') return problem(context, 'write a duration such as 15s, 10m or 1h30m')
  const [h = 0, m = 0, s = 0, ms = 0] = match.slice(1).map((part) => Number(part ?? 0))
  return ((h * 60 + m) * 60 + s) * 1000 + ms
})
const positiveDuration = duration.refine((ms) => ms > 0, 'write a duration longer than zero')

const flag = z.string().transform((text, context) => {
  if (['true', '1'].includes(text.toLowerCase())) return true
  if (['false', '0'].includes(text.toLowerCase())) return false
  return problem(context, 'write true or false')
})

const whole = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  z.string().transform((text, context) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    const bounds = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`
    return problem(context, `write a whole number ${bounds}`)
  })
const secondsAsMs = (min: number, max?: number) =>
  whole(min, max).transform((seconds) => seconds * 1000)

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)

/** `cursor`, or `cursor:` as people copy it. */
const schemes = list.transform((items, context) => {
  const named = items.map((item) => item.replace(/:(\/\/)?$/, '').toLowerCase())
  return named.every(isPrivateUseScheme)
    ? named
    : problem(context, 'write schemes of apps, such as cursor, and none that browsers know')
})

const httpUrl = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && ['http:', 'https:'].includes(url.protocol) && !url.search && !url.hash)
    return text.replace(/\/+$/, '')
  return problem(context, 'write an http:// or https:// URL without query or fragment')
})

/** RFC 9116 §2.5.3: URIs, and on the web none but https. */
const contacts = list.refine(
  (items) =>
    items.length > 0 &&
    items.every((item) => /^(mailto:[^\s@]+@[^\s@]+|https:\/\/\S+|tel:\+?[\d-]+)$/.test(item)),
  'write mailto:, https:// or tel: addresses, separated by commas',
)
const httpsUrl = z
  .string()
  .refine((text) => /^https:\/\/\S+$/.test(text) && URL.canParse(text), 'write an https:// URL')

/** The path becomes the path of cookies and the beginning of links, so it is held to characters that mean nothing there. */
const baseUrl = httpUrl
  .refine((text) => {
    const path = text.replace(/^https?:\/\/[^/]*/i, '')
    return /^(\/[\w.~-]+)*$/.test(path) && (path || '/') === new URL(text).pathname
  }, 'write a path of letters, digits and - . _ ~ between single slashes')
  .refine(
    (text) => new URL(text).username === '' && new URL(text).password === '',
    'write it without a user and a password: everybody is told',
  )

/** Where passwords go: by plain http only inside this machine. */
const apiUrl = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.username || url.password || url.search || url.hash) return false
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(host))
}, 'write an https:// URL without user, query or fragment; http:// only for this machine itself')

const headerName = z
  .string()
  .refine(
    (text) =>
      /^[\w!#$%&'*+.^`|~-]+$/.test(text) &&
      !/^(accept|connection|content-.*|date|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade|user-agent)$/i.test(
        text,
      ),
    'write the name of a header of your own, such as X-API-Secret',
  )

/** Whoever listens on the way could sign in as anybody, so only this machine is asked in the clear. */
const isPrivateWay = (text: string) =>
  URL.canParse(text) &&
  (new URL(text).protocol === 'https:' || isLoopback(new URL(text).hostname.replace(/[[\]]/g, '')))
const upstreamUrl = httpUrl.refine(isPrivateWay, 'write an https:// URL')
/** Kept to the letter: an issuer is compared, not visited. */
const upstreamIssuer = z
  .string()
  .refine((text) => httpUrl.safeParse(text).success && isPrivateWay(text), 'write an https:// URL')

const words = z.string().transform((text) => text.split(/[\s,]+/).filter((word) => word !== ''))

const origins = list.refine(
  (items) =>
    items.length > 0 &&
    items.every((item) => item === '*' || (URL.canParse(item) && new URL(item).origin === item)),
  'write origins such as https://app.example.com, separated by commas, or *',
)

const databaseUrl = z.string().transform((text, context) => {
  try {
    parseConnectionString(text, '')
    return text
  } catch (error) {
    if (error instanceof ConnectionStringError) return problem(context, error.message)
    throw error
  }
})

const redisUrl = z
  .string()
  .refine(
    (text) => /^rediss?:\/\//.test(text) && URL.canParse(text),
    'write redis://host:6379 or rediss://…',
  )

const secrets = list.refine(
  (items) => items.length > 0 && items.every((item) => item.length >= 32),
  'write one or more secrets of at least 32 characters, newest first, separated by commas (openssl rand -base64 48)',
)

const proxies = list.transform((items, context) => {
  const addresses = new BlockList()
  for (const item of items) {
    const [address = '', prefix] = item.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const bits = Number(prefix ?? (family === 'ipv6' ? 128 : 32))
    if (
      isIP(address) === 0 ||
      !Number.isInteger(bits) ||
      bits < 0 ||
      bits > (family === 'ipv6' ? 128 : 32)
    ) {
      return problem(context, 'write addresses or networks such as 10.0.0.0/8, separated by commas')
    }
    addresses.addSubnet(address, bits, family)
  }
  return addresses
})

const signingAlgorithm = z
  .string()
  .refine(
    (text) => text !== 'HS256',
    'write ES256, RS256 or EdDSA; HS256 is not offered, since whoever can check its signatures can also make them',
  )
  .pipe(z.enum(signingAlgorithms, 'write ES256, RS256 or EdDSA'))

const rate = whole(1, 1_000_000)

/** What our access tokens say themselves, and what other servers would believe of them. */
const reservedClaims = [
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'client_id', 'scope', 'auth_time'],
  ...['acr', 'amr', 'azp', 'sid', 'cnf', 'act', 'may_act', 'nonce', 'at_hash', 'roles', 'groups'],
  ...['entitlements', 'email', 'name'],
]

interface Setting<S extends z.ZodType = z.ZodType> {
  readonly group: string
  readonly schema: S
  /** As a user would write it; undefined where the setting is optional and has none. */
  readonly default: string | undefined
  readonly about: string
  /** Never printed, also not in a problem. */
  readonly secret?: true
}

const inGroup =
  (group: string) =>
  <S extends z.ZodType, D extends string | undefined = undefined>(
    schema: S,
    fallback: D,
    about: string,
    more: { secret?: true } = {},
  ) => ({ group, schema, default: fallback, about, ...more })

const server = inGroup('Server')
const data = inGroup('Data')
const sessions = inGroup('Sessions and sign-in')
const tokens = inGroup('Tokens and consent')
const registration = inGroup('Client registration')
const upstream = inGroup('Sign-in through other providers')
const limits = inGroup('Rate limits')
const metrics = inGroup('Metrics and traces')
const logs = inGroup('Log and audit')

/** Every setting, in the order of the documentation. */
export const settings = {
  HOST: server(
    z.string(),
    '127.0.0.1',
    'Address to listen on. `0.0.0.0` or `::` for all interfaces.',
  ),
  PORT: server(whole(1, 65_535), '8080', 'Port to listen on.'),
  BASE_URL: server(
    baseUrl,
    undefined,
    'Where people and clients reach this server; also the issuer. Default: `http://localhost:PORT`. With `https://` cookies are `Secure` and HSTS is sent. It may have a path (`https://example.org/auth`): then pages, links, redirects and cookies live below it.',
  ),
  SECURITY_CONTACT: server(
    contacts,
    undefined,
    'Where to report vulnerabilities, in order of preference: `mailto:`, `https://` or `tel:` addresses. If set, they are served at `/.well-known/security.txt` (RFC 9116).',
  ),
  SECURITY_POLICY: server(
    httpsUrl,
    undefined,
    'URL of your vulnerability disclosure policy, for `security.txt`.',
  ),
  PROXY_STRIPS_PATH: server(
    flag,
    'false',
    'Whether the reverse proxy strips the path of `BASE_URL` before it forwards a request.',
  ),
  TRUSTED_PROXIES: server(
    proxies,
    '',
    'Addresses or networks of reverse proxies whose `X-Forwarded-For` and `traceparent` are trusted, separated by commas. Empty: none.',
  ),
  OUTBOUND_PRIVATE_ADDRESSES: server(
    flag,
    'false',
    'Allow requests to private addresses that clients register (`jwks_uri`, `request_uri`, logout URIs …), and to this machine by plain http. For development and closed networks only: every client that can register can then make this server send requests into its network.',
  ),
  CORS_ENABLED: server(
    flag,
    'true',
    'Let scripts of other origins call the endpoints that use no cookie (token, userinfo, discovery and others).',
  ),
  CORS_ALLOWED_ORIGINS: server(
    origins,
    '*',
    'Allowed origins, separated by commas; `*` for all. Pages are never included.',
  ),
  CORS_MAX_AGE: server(duration, '12h', 'How long browsers may cache preflight responses.'),
  REQUEST_TIMEOUT: server(
    positiveDuration,
    '10s',
    'How long a request may take before it is answered with 503 and `Retry-After`. For an export: until its first byte.',
  ),
  MAX_CONNECTIONS: server(
    whole(1),
    '10000',
    'Maximum number of connections. Beyond it an idle one is closed; if none is idle, the new one.',
  ),
  MAX_CONNECTIONS_PER_ADDRESS: server(
    whole(1),
    '512',
    'The same per address (IPv6: per /64). This machine and `TRUSTED_PROXIES` are not counted.',
  ),
  SHUTDOWN_DELAY: server(
    duration,
    undefined,
    'How long requests are still accepted after SIGTERM while `/readyz` answers 503, so that load balancers notice: longer than the interval of their checks. A second SIGTERM ends it. Default: `5s` with `DATABASE_URL` and an `https://` BASE_URL, else `0s`.',
  ),
  SERVER_SHUTDOWN_TIMEOUT: server(
    positiveDuration,
    '10s',
    'How long requests in flight may take to finish after SIGTERM and `SHUTDOWN_DELAY`.',
  ),

  DATA_DIR: data(
    z.string(),
    './data',
    'Directory of the embedded database, its generated secret and the first credentials. With the embedded database it must belong to the user that runs the server, and everything in it is made unreadable to others (not on Windows, where what it inherits decides).',
  ),
  DATABASE_URL: data(
    databaseUrl,
    undefined,
    'A real Postgres (`postgres://…`, as libpq reads it). Unset: the embedded database in `DATA_DIR`, for one process.',
    { secret: true },
  ),
  DATABASE_DIRECT_URL: data(
    databaseUrl,
    undefined,
    'The same database without its pooler, for migrations and LISTEN. Behind a pooler without it, changes of clients and keys reach other replicas within `CLIENT_CACHE_TTL`, at most 5 s.',
    { secret: true },
  ),
  DB_PREPARE: data(
    z.enum(['auto', 'true', 'false'], 'write auto, true or false'),
    'auto',
    'Use named prepared statements. `auto`: unless a pooler is detected; `true`: for poolers that support them.',
  ),
  DB_START_TIMEOUT: data(
    duration,
    '30s',
    'How long start-up waits for a database that does not answer yet.',
  ),
  DB_MAX_OPEN_CONNS: data(
    whole(1, 1000),
    '25',
    'Maximum number of connections of one process to Postgres; one more serves the population counts and one listens.',
  ),
  DB_TIMEOUT: data(
    positiveDuration,
    '5s',
    'How long a statement may take, including the wait for a connection and for locks; also set in Postgres. Requests that take longer are answered with 503.',
  ),
  REDIS_URL: data(
    redisUrl,
    undefined,
    'Redis for rate limits shared by all replicas. Unset: each process counts on its own.',
    { secret: true },
  ),
  DEFAULT_ADMIN_PASSWORD: data(
    z.string().min(8, 'write at least 8 characters'),
    undefined,
    'Password of the `admin` user created at the first start; never printed. Unset: a random one, printed once, which has to be changed at the first sign-in.',
    { secret: true },
  ),
  MAX_AUTHORIZATION_REQUESTS: data(
    whole(1),
    '100000',
    'Maximum number of stored authorization requests, pushed or not; further ones are answered with 503.',
  ),
  MAX_DEVICE_CODES: data(
    whole(1),
    '200000',
    'Maximum number of stored device codes, including those that ended within a day; further requests are answered with 503.',
  ),
  MAX_USED_PROOFS: data(
    whole(1),
    '2000000',
    'Maximum number of remembered client assertions, DPoP proofs and request objects; requests with further ones are answered with 503.',
  ),
  CLIENT_CACHE_TTL: data(
    duration,
    '5s',
    'How long clients and signing keys (at most a minute) are cached in memory; changes reach every replica immediately through Postgres (behind a pooler see `DATABASE_DIRECT_URL`).',
  ),

  SESSION_SECRET: sessions(
    secrets,
    undefined,
    'Seals cookies and wraps the signing keys. At least 32 characters; to rotate, write `new,old` and drop the old one after `SESSION_REMEMBER_ME_MAX_AGE`. Required with `DATABASE_URL`; generated beside the embedded database.',
    { secret: true },
  ),
  SESSION_MAX_AGE: sessions(secondsAsMs(60), '43200', 'Maximum lifetime of a session in seconds.'),
  SESSION_IDLE_TIMEOUT: sessions(
    secondsAsMs(0),
    '1800',
    'Seconds without a request after which a session ends; 0 for no limit. Not for remembered sessions.',
  ),
  SESSION_REMEMBER_ME_ENABLED: sessions(flag, 'true', 'Offer "keep me signed in".'),
  SESSION_REMEMBER_ME_MAX_AGE: sessions(
    secondsAsMs(60),
    '2592000',
    'Maximum lifetime of a remembered session in seconds.',
  ),
  SESSION_MAX_PER_USER: sessions(
    whole(0),
    '0',
    'Maximum number of sessions per user; the oldest ends when another starts. 0 for no limit.',
  ),
  SESSION_FINGERPRINT: sessions(
    flag,
    'true',
    'End a session whose cookie is sent by another browser or platform.',
  ),
  SESSION_FINGERPRINT_IP: sessions(
    flag,
    'false',
    'Make the address part of the fingerprint. Signs out users whose address changes.',
  ),
  SESSION_RETENTION: sessions(positiveDuration, '720h', 'How long ended sessions are kept.'),
  SESSION_SWEEP_INTERVAL: sessions(
    positiveDuration,
    '30s',
    'How often lapsed sessions are ended and expired rows deleted.',
  ),

  RESERVED_USERNAMES: sessions(
    list.refine(
      (names) => names.every((name) => /^[a-z0-9][a-z0-9_.+-]*$/i.test(name)),
      'write usernames, separated by commas',
    ),
    reservedUsernames.join(','),
    'Usernames that only administrators may give: whoever comes from a provider is called something else, whoever comes from the HTTP API is a conflict. Signs between letters (`no-reply`) and what stands behind an `@` do not count. What is written here takes the place of the default. Who has such a name keeps it.',
  ),
  AUTH_MODE: sessions(
    z.enum(['local', 'http_api'], 'write local or http_api'),
    'local',
    'Who checks the passwords of accounts that are not local: nobody (`local`) or your own HTTP API (`http_api`). Local accounts, including the first administrator, are always checked here.',
  ),
  HTTP_API_URL: sessions(
    apiUrl,
    undefined,
    'The API: `POST` of JSON with `username` and `password`. Required with `AUTH_MODE=http_api`.',
  ),
  HTTP_API_TIMEOUT: sessions(
    positiveDuration,
    '10s',
    'How long one attempt may take; all attempts and waits together may take three times as long.',
  ),
  HTTP_API_AUTH_MODE: sessions(
    z.enum(['none', 'simple', 'hmac'], 'write none, simple or hmac'),
    'none',
    'How this server authenticates to the API: not at all, with the secret in a header, or with a signature.',
  ),
  HTTP_API_AUTH_SECRET: sessions(
    z.string().regex(/^[!-~]{16,}$/, 'write a random text of at least 16 visible ASCII characters'),
    undefined,
    'Shared with the API. Required with `simple` and `hmac`.',
    { secret: true },
  ),
  HTTP_API_AUTH_HEADER: sessions(
    headerName,
    'X-API-Secret',
    'The header that carries the secret with `simple`.',
  ),
  HTTP_API_MAX_RETRIES: sessions(
    whole(0, 10),
    '3',
    'How often a request is retried when the API cannot be reached or answers 429, 502, 503 or 504.',
  ),
  HTTP_API_RETRY_DELAY: sessions(
    duration,
    '1s',
    'Upper bound of the first, random delay; the bound doubles with each retry.',
  ),
  HTTP_API_MAX_RETRY_DELAY: sessions(
    duration,
    '10s',
    'Maximum delay, even if the API asks for more with `Retry-After`.',
  ),

  AUTH_CODE_EXPIRATION: tokens(
    positiveDuration,
    '1m',
    'Lifetime of an authorization code (RFC 6749 advises 10 minutes at most).',
  ),
  DEVICE_CODE_EXPIRATION: tokens(
    positiveDuration,
    '30m',
    'Lifetime of a device code: how long a user has to approve a device (RFC 8628).',
  ),
  JWT_EXPIRATION: tokens(
    positiveDuration,
    '1h',
    'Lifetime of access and ID tokens of clients with the standard profile.',
  ),
  JWT_EXPIRATION_JITTER: tokens(
    duration,
    '0s',
    'Maximum random addition to it, so that many clients that started together do not refresh together.',
  ),
  JWT_EXPIRATION_MAX: tokens(
    positiveDuration,
    '24h',
    'Maximum lifetime of any access or ID token, whatever the profile and the jitter.',
  ),
  TOKEN_PROFILE_SHORT_ACCESS_TTL: tokens(
    positiveDuration,
    '15m',
    'Lifetime of access tokens of clients with the short profile.',
  ),
  TOKEN_PROFILE_SHORT_REFRESH_TTL: tokens(
    positiveDuration,
    '24h',
    'Lifetime of a refresh token of clients with the short profile.',
  ),
  TOKEN_PROFILE_LONG_ACCESS_TTL: tokens(
    positiveDuration,
    '24h',
    'Lifetime of access tokens of clients with the long profile.',
  ),
  TOKEN_PROFILE_LONG_REFRESH_TTL: tokens(
    positiveDuration,
    '2160h',
    'Lifetime of a refresh token of clients with the long profile.',
  ),
  JWT_PRIVATE_CLAIM_PREFIX: tokens(
    z
      .string()
      .refine(
        (name) => /^[a-z][a-z0-9_]{0,30}$/i.test(name) && !reservedClaims.includes(name),
        `write a letter and up to 30 letters, digits or underscores, and none of ${reservedClaims.join(', ')}`,
      ),
    'extra',
    'Name of the claim in access tokens that holds the `extra_claims` of clients that may send them.',
  ),
  EXTRA_CLAIMS_MAX_RAW_SIZE: tokens(
    whole(2),
    '4096',
    'Maximum length of `extra_claims` in characters.',
  ),
  EXTRA_CLAIMS_MAX_KEYS: tokens(whole(1), '16', 'Maximum number of members of `extra_claims`.'),
  EXTRA_CLAIMS_MAX_VAL_SIZE: tokens(
    whole(1),
    '512',
    'Maximum length of each value in `extra_claims`, as JSON, in characters.',
  ),
  CLIENT_CREDENTIALS_TOKEN_EXPIRATION: tokens(
    positiveDuration,
    '1h',
    'Lifetime of an access token from the client credentials grant.',
  ),
  JWT_SIGNING_ALGORITHM: tokens(
    signingAlgorithm,
    'ES256',
    'Algorithm that signs access tokens: ES256, RS256 or EdDSA. Clients choose theirs for ID tokens; keys for all three always exist.',
  ),
  JWT_KEY_ROTATION_INTERVAL: tokens(
    positiveDuration,
    '2160h',
    'How long a key signs before the next one takes over; old keys stay published until their last token has expired.',
  ),
  JWT_KEY_PUBLISH_AHEAD: tokens(
    duration.refine(
      (ms) => ms >= 600_000,
      'write at least 10m: key lists are cached for 5 minutes',
    ),
    '24h',
    'How long before its first use a key is published, so that everyone who caches keys has it in time.',
  ),
  REFRESH_TOKEN_EXPIRATION: tokens(
    positiveDuration,
    '720h',
    'Lifetime of a refresh token; each rotation restarts it.',
  ),
  REFRESH_TOKEN_EXPIRATION_MAX: tokens(
    positiveDuration,
    '2160h',
    'Maximum lifetime of a refresh token and all its successors together; after it the user has to sign in again.',
  ),
  ENABLE_REFRESH_TOKENS: tokens(
    flag,
    'true',
    'Issue refresh tokens: with `openid` only for `offline_access`, without it to every client with the refresh token grant.',
  ),
  ENABLE_TOKEN_ROTATION: tokens(
    flag,
    'true',
    'Replace the refresh token at each use. Public clients always rotate (RFC 9700 §2.2.2).',
  ),
  TOKENS_END_WITH_SESSION: tokens(
    flag,
    'true',
    'Access tokens that come without a refresh token end when their user signs out, or the session ends otherwise. Decided when a token is issued; devices stay signed in.',
  ),
  DPOP_REQUIRE_NONCE: tokens(
    flag,
    'true',
    'Require a fresh nonce from this server in every DPoP proof (RFC 9449 §8). `false`: the clock of the client has to be correct within a minute instead.',
  ),
  PKCE_REQUIRED: tokens(
    flag,
    'false',
    'Require PKCE of every client. Otherwise confidential clients may rely on the nonce of OpenID Connect (RFC 9700 §2.1.1); public clients, plain OAuth requests and clients that must push their requests always need it.',
  ),
  PKCE_REQUIRED_FOR_NEW_CLIENTS: tokens(
    flag,
    'true',
    'Require PKCE of every new client, whether created by an administrator, at `/apps` or by registration. Administrators can change it for each client.',
  ),
  INTROSPECTION_REQUIRE_OWNERSHIP: tokens(
    flag,
    'true',
    'Let a client introspect only its own tokens and those for a resource that it serves. `false`: every confidential client may introspect every token.',
  ),
  REQUIRE_PUSHED_AUTHORIZATION_REQUESTS: tokens(
    flag,
    'false',
    'Accept only authorization requests that clients have pushed to `/oauth/par` (RFC 9126). It can also be required per client.',
  ),
  PUSHED_REQUEST_EXPIRATION: tokens(
    positiveDuration.refine((ms) => ms >= 5000 && ms <= 600_000, 'write a duration from 5s to 10m'),
    '90s',
    'How long a pushed request can be used by a browser.',
  ),
  CONSENT_REMEMBER: tokens(flag, 'true', 'Do not ask again for what a user has already allowed.'),

  ENABLE_DYNAMIC_CLIENT_REGISTRATION: registration(
    flag,
    'false',
    'Let clients register themselves at `/oauth/register` (RFC 7591) and manage their registration (RFC 7592).',
  ),
  DYNAMIC_CLIENT_REGISTRATION_TOKEN: registration(
    z
      .string()
      .regex(/^[\w.~+/-]{16,}=*$/, 'write at least 16 letters, digits or any of - . _ ~ + /'),
    undefined,
    'Initial access token that clients need to register. Unset: open registration.',
    { secret: true },
  ),
  DYNAMIC_CLIENT_REGISTRATION_RETENTION: registration(
    positiveDuration,
    '720h',
    'How long self-registered clients stay pending, from their last change, before they are deleted; those with a consent stay. With `DYNAMIC_CLIENT_REGISTRATION_STATUS=active` also how long a client without consents and tokens is kept.',
  ),
  DYNAMIC_CLIENT_REGISTRATION_MAX: registration(
    whole(1),
    '10000',
    'Maximum number of self-registered clients; further registrations are answered with 503.',
  ),
  PRIVATE_USE_SCHEMES: registration(
    schemes,
    '',
    'Schemes without a dot, separated by commas, that apps may redirect to although any app can claim them, as in `cursor, vscode` (RFC 8252 §7.1). Reverse domain names are always allowed, and administrators may register any.',
  ),
  DYNAMIC_CLIENT_REGISTRATION_STATUS: registration(
    z.enum(['pending', 'active'], 'write pending or active'),
    'pending',
    'Status of new clients: `pending` until an administrator approves them, and again when they change; or `active` immediately.',
  ),

  GITHUB_URL: upstream(
    upstreamUrl,
    'https://github.com',
    'URL of GitHub; another one for GitHub Enterprise Server.',
  ),
  GITHUB_OAUTH_ENABLED: upstream(
    flag,
    'true',
    '`false` disables it; otherwise it is enabled once client ID and secret are set.',
  ),
  GITHUB_CLIENT_ID: upstream(
    z.string(),
    undefined,
    'Client id of this server at GitHub; its redirect URI there is `BASE_URL/auth/callback/github`.',
  ),
  GITHUB_CLIENT_SECRET: upstream(z.string(), undefined, 'Client secret of this server there.', {
    secret: true,
  }),
  GITHUB_SCOPES: upstream(words, 'user:email', 'Scopes to request there.'),
  GITHUB_TRUST_EMAIL: upstream(
    flag,
    'true',
    'Link a sign-in to the existing user with the primary email address that GitHub has verified.',
  ),
  GITEA_URL: upstream(upstreamUrl, undefined, 'URL of your Gitea.'),
  GITEA_OAUTH_ENABLED: upstream(
    flag,
    'true',
    '`false` disables it; otherwise it is enabled once client ID and secret are set.',
  ),
  GITEA_CLIENT_ID: upstream(
    z.string(),
    undefined,
    'Client id of this server at Gitea; its redirect URI there is `BASE_URL/auth/callback/gitea`.',
  ),
  GITEA_CLIENT_SECRET: upstream(z.string(), undefined, 'Client secret of this server there.', {
    secret: true,
  }),
  GITEA_SCOPES: upstream(words, 'read:user', 'Scopes to request there.'),
  GITEA_TRUST_EMAIL: upstream(
    flag,
    'false',
    'Link a sign-in to the existing user with an email address that the provider calls verified: its operator can then sign in as anyone here.',
  ),
  GITLAB_URL: upstream(
    upstreamUrl,
    'https://gitlab.com',
    'URL of GitLab; another one for your own.',
  ),
  GITLAB_OAUTH_ENABLED: upstream(
    flag,
    'true',
    '`false` disables it; otherwise it is enabled once client ID and secret are set.',
  ),
  GITLAB_CLIENT_ID: upstream(
    z.string(),
    undefined,
    'Client id of this server at GitLab; its redirect URI there is `BASE_URL/auth/callback/gitlab`.',
  ),
  GITLAB_CLIENT_SECRET: upstream(z.string(), undefined, 'Client secret of this server there.', {
    secret: true,
  }),
  GITLAB_SCOPES: upstream(words, 'read_user', 'Scopes to request there.'),
  GITLAB_TRUST_EMAIL: upstream(
    flag,
    'false',
    'Link a sign-in to the existing user with an email address that the provider calls verified: its operator can then sign in as anyone here.',
  ),
  MICROSOFT_URL: upstream(
    upstreamUrl,
    'https://login.microsoftonline.com',
    'URL of the Microsoft sign-in service; another one for national clouds.',
  ),
  MICROSOFT_TENANT_ID: upstream(
    z.string().regex(/^[\w.-]+$/, 'write the id or the domain of a tenant'),
    'common',
    'Whose accounts may sign in: the ID of your tenant, or `common`, `organizations` or `consumers` for all.',
  ),
  MICROSOFT_OAUTH_ENABLED: upstream(
    flag,
    'true',
    '`false` disables it; otherwise it is enabled once client ID and secret are set.',
  ),
  MICROSOFT_CLIENT_ID: upstream(
    z.string(),
    undefined,
    'Client id of this server at Microsoft Entra ID; its redirect URI there is `BASE_URL/auth/callback/microsoft`.',
  ),
  MICROSOFT_CLIENT_SECRET: upstream(z.string(), undefined, 'Client secret of this server there.', {
    secret: true,
  }),
  MICROSOFT_SCOPES: upstream(words, 'openid profile email', 'Scopes to request there.'),
  MICROSOFT_TRUST_EMAIL: upstream(
    flag,
    'false',
    'Link a sign-in to the existing user with the same email address. Only for your own tenant, whose administrators decide which addresses its accounts have.',
  ),
  OIDC_ISSUER: upstream(
    upstreamIssuer,
    undefined,
    'Issuer of an OpenID Connect provider, exactly as in its metadata; everything else is discovered.',
  ),
  OIDC_NAME: upstream(
    z.string().max(40, 'write at most 40 characters'),
    'single sign-on',
    'Its name on the button: "Continue with …".',
  ),
  OIDC_OAUTH_ENABLED: upstream(
    flag,
    'true',
    '`false` disables it; otherwise it is enabled once client ID and secret are set.',
  ),
  OIDC_CLIENT_ID: upstream(
    z.string(),
    undefined,
    'Client id of this server at the OpenID Connect provider; its redirect URI there is `BASE_URL/auth/callback/oidc`.',
  ),
  OIDC_CLIENT_SECRET: upstream(z.string(), undefined, 'Client secret of this server there.', {
    secret: true,
  }),
  OIDC_SCOPES: upstream(words, 'openid profile email', 'Scopes to request there.'),
  OIDC_TRUST_EMAIL: upstream(
    flag,
    'false',
    'Link a sign-in to the existing user with an email address that the provider calls verified: its operator can then sign in as anyone here.',
  ),
  OAUTH_AUTO_REGISTER: upstream(
    flag,
    'true',
    'Create a user at the first sign-in with a provider.',
  ),
  OAUTH_TIMEOUT: upstream(positiveDuration, '15s', 'How long one response of a provider may take.'),

  ENABLE_RATE_LIMIT: limits(flag, 'true', 'Enable rate limits.'),
  LOGIN_RATE_LIMIT: limits(
    rate,
    '5',
    'Wrong passwords per minute for one account from one address (or one known browser of the account), twice that from its IPv6 /56, four times from its /24 or /48; also wrong current passwords of one account when it is changed.',
  ),
  LOGIN_ADDRESS_RATE_LIMIT: limits(
    rate,
    '120',
    'Wrong passwords per minute from one address, whatever the accounts; more for the networks around it, as above.',
  ),
  LOGIN_ACCOUNT_RATE_LIMIT: limits(
    rate,
    '100',
    'Wrong passwords per minute for one account from all unknown browsers together; beyond it each network has one attempt a minute. A browser that has signed in to the account before is not affected.',
  ),
  OAUTH_LOGIN_RATE_LIMIT: limits(
    rate,
    '30',
    'Failures per minute and address at `/auth/login` and, counted apart, at `/auth/callback`.',
  ),
  AUTHORIZE_RATE_LIMIT: limits(
    rate,
    '60',
    'Requests per minute and address to `/oauth/authorize` that fail.',
  ),
  TOKEN_RATE_LIMIT: limits(
    rate,
    '120',
    'Requests per minute and address to `/oauth/token`, and to `/oauth/par`, that fail without a valid client secret.',
  ),
  DYNAMIC_CLIENT_REGISTRATION_RATE_LIMIT: limits(
    rate,
    '5',
    'Clients that register, or change their registration, per minute and address.',
  ),
  APP_RATE_LIMIT: limits(rate, '10', 'Apps that one user may register per minute.'),
  INTROSPECT_RATE_LIMIT: limits(
    rate,
    '20',
    'Requests per minute and address to `/oauth/introspect` without valid client authentication.',
  ),
  REVOKE_RATE_LIMIT: limits(
    rate,
    '20',
    'Requests per minute and address to `/oauth/revoke` that end nothing, or fail, without a valid client secret.',
  ),
  DEVICE_CODE_RATE_LIMIT: limits(
    rate,
    '10',
    'Requests per minute and address to `/oauth/device/code` that fail.',
  ),
  DEVICE_VERIFY_RATE_LIMIT: limits(
    rate,
    '10',
    'Wrong device codes that one address, and one session, may try per minute.',
  ),
  DEVICE_POLL_RATE_LIMIT: limits(
    rate,
    '240',
    'Failed polls per minute and address to `/oauth/token`, by devices of public clients; a pending answer is not a failure.',
  ),
  CLIENT_RATE_LIMIT: limits(
    rate,
    '6000',
    'Requests per minute of one authenticated client to each endpoint, whatever its addresses; a resource server that introspects every token may need more.',
  ),
  ENDPOINT_CEILING: limits(
    rate,
    '6000',
    'Requests per minute from one address, failed or not, to each expensive endpoint: sign-in, authorization, token, device codes and the like. Also those that one access token may make to userinfo.',
  ),
  REQUEST_CEILING: limits(
    rate,
    '30000',
    'All requests per minute from one address to one process, except those of authenticated clients and valid access tokens, probes, discovery and assets.',
  ),

  METRICS_ENABLED: metrics(
    flag,
    'true',
    'Record metrics, serve them and push them. `false`: no listener, no push, no cost.',
  ),
  METRICS_TOKEN: metrics(
    z.string().min(16, 'write at least 16 characters'),
    undefined,
    'Bearer token that a scrape must send. Required when the exporter listens beyond loopback.',
    { secret: true },
  ),
  METRICS_POPULATION_TTL: metrics(
    duration,
    '15s',
    'How old the counts behind the population gauges may be; `0s` counts at every scrape.',
  ),
  OTEL_EXPORTER_PROMETHEUS_HOST: metrics(z.string(), '127.0.0.1', 'Address of the exporter port.'),
  OTEL_EXPORTER_PROMETHEUS_PORT: metrics(
    whole(1, 65_535),
    '9464',
    'The exporter port; `GET /metrics` there, never on the public port.',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: metrics(
    httpUrl,
    undefined,
    'OTLP/HTTP collector to push metrics and traces to. Unset: no push.',
  ),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: metrics(httpUrl, undefined, 'Full URL for metrics only.'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: metrics(httpUrl, undefined, 'Full URL for traces only.'),
  OTEL_EXPORTER_OTLP_PROTOCOL: metrics(
    z.enum(['http/protobuf', 'http/json'], 'write http/protobuf or http/json'),
    'http/protobuf',
    'Encoding of the push.',
  ),
  OTEL_METRICS_EXPORTER: metrics(
    list.refine(
      (items) => items.every((item) => ['prometheus', 'otlp', 'none'].includes(item)),
      'write prometheus, otlp, both separated by a comma, or none',
    ),
    'prometheus,otlp',
    'Exporters for metrics.',
  ),
  OTEL_TRACES_EXPORTER: metrics(
    z.enum(['otlp', 'none'], 'write otlp or none'),
    'otlp',
    'Exporter for traces; needs an endpoint.',
  ),
  OTEL_TRACES_SAMPLER_ARG: metrics(
    z.string().transform((text, context) => {
      const ratio = Number(text)
      return ratio >= 0 && ratio <= 1 ? ratio : problem(context, 'write a number from 0 to 1')
    }),
    '1',
    'Fraction of traces that are sampled.',
  ),
  OTEL_METRIC_EXPORT_INTERVAL: metrics(whole(100), '60000', 'Milliseconds between pushes.'),
  OTEL_METRIC_EXPORT_TIMEOUT: metrics(whole(100), '30000', 'Milliseconds a push may take.'),
  OTEL_SERVICE_NAME: metrics(
    z.string(),
    undefined,
    '`service.name` of everything exported. Default: what `OTEL_RESOURCE_ATTRIBUTES` says, else `authgate`.',
  ),
  OTEL_RESOURCE_ATTRIBUTES: metrics(
    list,
    '',
    'Further resource attributes, `key=value` separated by commas.',
  ),
  OTEL_SDK_DISABLED: metrics(flag, 'false', '`true` disables metrics and traces.'),
  AUTHGATE_COMMIT: metrics(
    z.string(),
    undefined,
    'Commit shown by `authgate_build_info`; the image sets it. Default: what git says.',
  ),

  LOG_LEVEL: logs(
    z.enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
      'write trace, debug, info, warn, error or silent',
    ),
    'info',
    'Minimum severity that is logged.',
  ),
  ACCESS_LOG: logs(
    z.enum(['off', 'json'], 'write off or json'),
    'off',
    'With `json`, one line for each request but probes, at level `info`: method, route, status, milliseconds, address, and client and user where they are known; never a query or a body.',
  ),
  ENABLE_AUDIT_LOGGING: logs(flag, 'true', 'Write audit events.'),
  AUDIT_LOG_RETENTION: logs(positiveDuration, '2160h', 'How long audit events are kept.'),
  CONSENT_RETENTION: logs(positiveDuration, '2160h', 'How long revoked consents are kept.'),
} satisfies Record<string, Setting>

type Settings = typeof settings
type Values = {
  readonly [K in keyof Settings]:
    | z.output<Settings[K]['schema']>
    | (Settings[K]['default'] extends string ? never : undefined)
}

/** Settings of the product we grew out of, and where their meaning went. */
const renamed: Readonly<Record<string, string>> = {
  SERVER_ADDR: 'write HOST and PORT instead',
  DATABASE_DSN: 'write DATABASE_URL instead',
  DATABASE_DRIVER: 'remove it: DATABASE_URL decides',
  DATABASE_PATH: 'write DATA_DIR instead',
  REDIS_ADDR: 'write REDIS_URL instead',
  LOGIN_SESSION_TRACKING_ENABLED: 'remove it: sessions are always tracked',
  METRICS_GAUGE_UPDATE_ENABLED: 'remove it: gauges are counted when they are scraped',
  METRICS_GAUGE_UPDATE_INTERVAL: 'write METRICS_POPULATION_TTL instead',
  HTTP_API_INSECURE_SKIP_VERIFY:
    'remove it: certificates are always checked; name the file of your own authority in NODE_EXTRA_CA_CERTS',
  EXTRA_CLAIMS_ENABLED: 'remove it: an operator allows it to single clients',
  TOKEN_PROFILE_STANDARD_ACCESS_TTL: 'write JWT_EXPIRATION instead',
  TOKEN_PROFILE_STANDARD_REFRESH_TTL: 'write REFRESH_TOKEN_EXPIRATION instead',
  GITHUB_REDIRECT_URL: 'remove it: it is BASE_URL/auth/callback/github',
  GITEA_REDIRECT_URL: 'remove it: it is BASE_URL/auth/callback/gitea',
  GITLAB_REDIRECT_URL: 'remove it: it is BASE_URL/auth/callback/gitlab',
  MICROSOFT_REDIRECT_URL: 'remove it: it is BASE_URL/auth/callback/microsoft',
  OAUTH_INSECURE_SKIP_VERIFY:
    'remove it: certificates are always checked; NODE_EXTRA_CA_CERTS adds your own authority',
}

/** Every problem of a configuration, each naming the setting and what to write. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.map((text) => `  ${text}`).join('\n')}`,
    )
    this.problems = problems
  }
}

export type Config = ReturnType<typeof parseConfig>

/** Parses and freezes the configuration, or throws a `ConfigError` that lists everything wrong with it. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>) {
  const problems = Object.entries(renamed).flatMap(([name, advice]) =>
    environment[name] ? [`${name}: is no longer known; ${advice}.`] : [],
  )
  const values = parseValues(environment, problems)
  problems.push(
    ...crossProblems(values, environment),
    ...contactProblems(values, environment),
    ...tokenProblems(values),
    ...pathProblems(values),
    ...apiProblems(values, environment),
    ...upstreamProblems(values),
  )
  if (problems.length > 0) throw new ConfigError(problems)
  const v = values as Values
  const baseUrl = v.BASE_URL ?? `http://localhost:${v.PORT}`
  return Object.freeze({
    ...v,
    BASE_URL: baseUrl,
    secure: baseUrl.startsWith('https:'),
    // Only there can another replica take over, and something stand in front that sends people to it.
    shutdownDelayMs:
      v.SHUTDOWN_DELAY ?? (v.DATABASE_URL && baseUrl.startsWith('https:') ? 5000 : 0),
    metricsEnabled:
      v.METRICS_ENABLED && !v.OTEL_SDK_DISABLED && !v.OTEL_METRICS_EXPORTER.includes('none'),
    tracesUrl:
      v.OTEL_SDK_DISABLED || v.OTEL_TRACES_EXPORTER === 'none'
        ? undefined
        : signalUrl(v.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, v.OTEL_EXPORTER_OTLP_ENDPOINT, 'traces'),
    metricsUrl: v.OTEL_METRICS_EXPORTER.includes('otlp')
      ? signalUrl(v.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, v.OTEL_EXPORTER_OTLP_ENDPOINT, 'metrics')
      : undefined,
    resourceAttributes: Object.fromEntries(
      v.OTEL_RESOURCE_ATTRIBUTES.map((pair) => splitPair(pair)),
    ),
  })
}

/** The session secrets, newest first; for the embedded database one is made at the first start and kept beside it. */
export function sessionSecrets(config: Config): readonly string[] {
  if (config.SESSION_SECRET) return config.SESSION_SECRET
  const file = join(config.DATA_DIR, 'session-secret')
  if (!existsSync(file)) {
    mkdirSync(config.DATA_DIR, { recursive: true, mode: 0o700 })
    writeFileSync(file, `${randomSecret()}\n`, { mode: 0o600, flag: 'wx' })
  }
  return [readFileSync(file, 'utf8').trim()]
}

function parseValues(
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Partial<Values> {
  const values: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(settings) as [string, Setting][]) {
    // An empty value means "not set", as in a .env file whose lines were left blank.
    const text = environment[name]?.trim() || setting.default
    const parsed = text === undefined ? undefined : setting.schema.safeParse(text)
    if (parsed?.success) values[name] = parsed.data
    else if (parsed)
      problems.push(
        `${name}: ${parsed.error.issues[0]?.message}${setting.secret ? '' : ` (it is "${text}")`}.`,
      )
  }
  return values as Partial<Values>
}

const pathProblems = ({ PROXY_STRIPS_PATH, BASE_URL = 'http://localhost' }: Partial<Values>) =>
  PROXY_STRIPS_PATH && new URL(BASE_URL).pathname === '/'
    ? [
        'PROXY_STRIPS_PATH: there is nothing to strip, since BASE_URL has no path; write the address that people see.',
      ]
    : []

/** A policy alone is no file (RFC 9116 §2.5.3). */
const contactProblems = (
  { SECURITY_POLICY: policy }: Partial<Values>,
  environment: Readonly<Record<string, string | undefined>>,
) =>
  policy && !environment['SECURITY_CONTACT']
    ? ['SECURITY_POLICY: needs SECURITY_CONTACT beside it.']
    : []

/** What no single setting can know. */
function crossProblems(
  v: Partial<Values>,
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const problems: string[] = []
  if (v.DATABASE_DIRECT_URL && !environment['DATABASE_URL'])
    problems.push('DATABASE_DIRECT_URL: needs DATABASE_URL beside it.')
  if (v.DATABASE_URL && !v.SESSION_SECRET && !environment['SESSION_SECRET']) {
    problems.push(
      'SESSION_SECRET: is required with DATABASE_URL, so that all replicas agree; write a random text of at least 32 characters (openssl rand -base64 48).',
    )
  }
  const exporterHost = v.OTEL_EXPORTER_PROMETHEUS_HOST ?? ''
  const scraped =
    v.METRICS_ENABLED && !v.OTEL_SDK_DISABLED && v.OTEL_METRICS_EXPORTER?.includes('prometheus')
  if (scraped && !isLoopback(exporterHost) && !environment['METRICS_TOKEN']) {
    problems.push(
      `METRICS_TOKEN: is required when the exporter listens beyond this machine (OTEL_EXPORTER_PROMETHEUS_HOST is "${exporterHost}"); write a random text of at least 16 characters.`,
    )
  }
  for (const pair of v.OTEL_RESOURCE_ATTRIBUTES ?? []) {
    if (!/^[^=\s]+=./.test(pair) || !isDecodable(pair))
      problems.push(
        `OTEL_RESOURCE_ATTRIBUTES: write key=value pairs separated by commas (it has "${pair}").`,
      )
  }
  if (v.PORT !== undefined && v.PORT === v.OTEL_EXPORTER_PROMETHEUS_PORT && scraped) {
    problems.push(
      'OTEL_EXPORTER_PROMETHEUS_PORT: must differ from PORT; metrics are never served on the public port.',
    )
  }
  return problems
}

function tokenProblems(v: Partial<Values>): string[] {
  const {
    JWT_EXPIRATION: life = Number.POSITIVE_INFINITY,
    JWT_EXPIRATION_JITTER: jitter = 0,
    JWT_KEY_PUBLISH_AHEAD: ahead = 0,
    JWT_KEY_ROTATION_INTERVAL: interval = Number.POSITIVE_INFINITY,
  } = v
  return [
    ...capped(v, 'JWT_EXPIRATION_MAX', [
      'JWT_EXPIRATION',
      'CLIENT_CREDENTIALS_TOKEN_EXPIRATION',
      'TOKEN_PROFILE_SHORT_ACCESS_TTL',
      'TOKEN_PROFILE_LONG_ACCESS_TTL',
    ]),
    ...capped(v, 'REFRESH_TOKEN_EXPIRATION_MAX', [
      'REFRESH_TOKEN_EXPIRATION',
      'TOKEN_PROFILE_SHORT_REFRESH_TTL',
      'TOKEN_PROFILE_LONG_REFRESH_TTL',
    ]),
    ...(jitter >= life ? ['JWT_EXPIRATION_JITTER: must be shorter than JWT_EXPIRATION.'] : []),
    ...(ahead >= interval
      ? ['JWT_KEY_PUBLISH_AHEAD: must be shorter than JWT_KEY_ROTATION_INTERVAL.']
      : []),
  ]
}

/** A value that is wrong is told of where it is read. */
function apiProblems(
  v: Partial<Values>,
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  if (v.AUTH_MODE !== 'http_api') return []
  const mode = v.HTTP_API_AUTH_MODE ?? 'none'
  const problems: string[] = []
  if (!environment['HTTP_API_URL'])
    problems.push(
      'HTTP_API_URL: is required with AUTH_MODE=http_api; write the https:// URL of your API.',
    )
  if (mode !== 'none' && !environment['HTTP_API_AUTH_SECRET'])
    problems.push(
      `HTTP_API_AUTH_SECRET: is required with HTTP_API_AUTH_MODE=${mode}; write a random text of at least 16 characters.`,
    )
  return problems
}

function upstreamProblems(v: Partial<Values>): string[] {
  const whole = (['GITHUB', 'GITEA', 'GITLAB', 'MICROSOFT', 'OIDC'] as const).flatMap((name) => {
    const [id, secret] = [v[`${name}_CLIENT_ID`], v[`${name}_CLIENT_SECRET`]]
    if (v[`${name}_OAUTH_ENABLED`] === false || (id === undefined) === (secret === undefined))
      return []
    return id === undefined
      ? [`${name}_CLIENT_SECRET: needs ${name}_CLIENT_ID beside it.`]
      : [`${name}_CLIENT_ID: needs ${name}_CLIENT_SECRET beside it.`]
  })
  const needs = (id: unknown, name: 'GITEA_URL' | 'OIDC_ISSUER', of: string) =>
    id !== undefined && v[name] === undefined ? [`${name}: is required with ${of}.`] : []
  const everybody = ['common', 'organizations', 'consumers'].includes(
    v.MICROSOFT_TENANT_ID?.toLowerCase() ?? '',
  )
  return [
    ...whole,
    ...needs(v.GITEA_OAUTH_ENABLED ? v.GITEA_CLIENT_ID : undefined, 'GITEA_URL', 'GITEA_CLIENT_ID'),
    ...needs(v.OIDC_OAUTH_ENABLED ? v.OIDC_CLIENT_ID : undefined, 'OIDC_ISSUER', 'OIDC_CLIENT_ID'),
    ...(v.MICROSOFT_TRUST_EMAIL && everybody
      ? [
          'MICROSOFT_TRUST_EMAIL: needs a MICROSOFT_TENANT_ID of your own; in the tenants of others anybody can claim any address.',
        ]
      : []),
    ...(['MICROSOFT_SCOPES', 'OIDC_SCOPES'] as const).flatMap((name) =>
      v[name]?.includes('openid') === false ? [`${name}: must hold openid.`] : [],
    ),
  ]
}

type LifetimeName = Extract<
  keyof Settings,
  `${string}_TTL` | `${string}_EXPIRATION` | `${string}_MAX`
>

/** A lifetime beyond its cap would silently be shorter than what was written. */
const capped = (v: Partial<Values>, cap: LifetimeName, names: readonly LifetimeName[]) =>
  names.flatMap((name) =>
    Number(v[name] ?? 0) > Number(v[cap] ?? Number.POSITIVE_INFINITY)
      ? [`${name}: must not be longer than ${cap}.`]
      : [],
  )

const isLoopback = (host: string) =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

const signalUrl = (own: string | undefined, base: string | undefined, signal: string) =>
  own ?? (base === undefined ? undefined : `${base}/v1/${signal}`)

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=')
  return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))]
}

function problem(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}

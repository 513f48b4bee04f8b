/** What tokens say, how long they live, and the keys that sign them. */
import { z } from 'zod'
import { signingAlgorithms } from '#/protocol/vocabulary.ts'
import { duration, flag, positiveDuration, whole } from './parsers.ts'
import { type Area, type Settings, setting, type ValuesOf } from './setting.ts'

const signingAlgorithm = z
  .string()
  .refine(
    (text) => text !== 'HS256',
    'write ES256, RS256 or EdDSA; HS256 is not offered, since whoever can check its signatures can also make them',
  )
  .pipe(z.enum(signingAlgorithms, 'write ES256, RS256 or EdDSA'))

/** What our access tokens say themselves, and what other servers would believe of them. */
const reservedClaims = [
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'client_id', 'scope', 'auth_time'],
  ...['acr', 'amr', 'azp', 'sid', 'cnf', 'act', 'may_act', 'nonce', 'at_hash', 'roles', 'groups'],
  ...['entitlements', 'email', 'name'],
]

const claimName = z
  .string()
  .refine(
    (name) => /^[a-z][a-z0-9_]{0,30}$/i.test(name) && !reservedClaims.includes(name),
    `write a letter and up to 30 letters, digits or underscores, and none of ${reservedClaims.join(', ')}`,
  )

const settings = {
  JWT_EXPIRATION: setting(
    positiveDuration,
    '1h',
    'Lifetime of access and ID tokens of clients with the standard profile.',
  ),
  JWT_EXPIRATION_JITTER: setting(
    duration,
    '0s',
    'Maximum random addition to it, so that many clients that started together do not refresh together.',
  ),
  JWT_EXPIRATION_MAX: setting(
    positiveDuration,
    '24h',
    'Maximum lifetime of any access or ID token, whatever the profile and the jitter.',
  ),
  TOKEN_PROFILE_SHORT_ACCESS_TTL: setting(
    positiveDuration,
    '15m',
    'Lifetime of access tokens of clients with the short profile.',
  ),
  TOKEN_PROFILE_SHORT_REFRESH_TTL: setting(
    positiveDuration,
    '24h',
    'Lifetime of a refresh token of clients with the short profile.',
  ),
  TOKEN_PROFILE_LONG_ACCESS_TTL: setting(
    positiveDuration,
    '24h',
    'Lifetime of access tokens of clients with the long profile.',
  ),
  TOKEN_PROFILE_LONG_REFRESH_TTL: setting(
    positiveDuration,
    '2160h',
    'Lifetime of a refresh token of clients with the long profile.',
  ),
  CLIENT_CREDENTIALS_TOKEN_EXPIRATION: setting(
    positiveDuration,
    '1h',
    'Lifetime of an access token from the client credentials grant.',
  ),
  REFRESH_TOKEN_EXPIRATION: setting(
    positiveDuration,
    '720h',
    'Lifetime of a refresh token; each rotation restarts it.',
  ),
  REFRESH_TOKEN_EXPIRATION_MAX: setting(
    positiveDuration,
    '2160h',
    'Maximum lifetime of a refresh token and all its successors together; after it the user has to sign in again.',
  ),
  ENABLE_REFRESH_TOKENS: setting(
    flag,
    'true',
    'Issue refresh tokens: with `openid` only for `offline_access`, without it to every client with the refresh token grant. `false`: there are none. Those issued before are refused (`unsupported_grant_type`) as long as it is off, and neither discovery nor forms offer them; `offline_access` is ignored.',
  ),
  ENABLE_TOKEN_ROTATION: setting(
    flag,
    'true',
    'Replace the refresh token at each use. Public clients always rotate (RFC 9700 §2.2.2).',
  ),
  REFRESH_TOKEN_GRACE: setting(
    duration,
    '60s',
    'How long a refresh token that has been replaced is answered with its unused successor, for public clients whose answer was lost; later it counts as stolen. Clients that authenticate or prove a key (DPoP) may try again until the successor is used.',
  ),
  TOKENS_END_WITH_SESSION: setting(
    flag,
    'true',
    'Access tokens that come without a refresh token end when their user signs out, or the session ends otherwise. Decided when a token is issued; devices stay signed in.',
  ),
  JWT_PRIVATE_CLAIM_PREFIX: setting(
    claimName,
    'extra',
    'Name of the claim in access tokens that holds the `extra_claims` of clients that may send them.',
  ),
  EXTRA_CLAIMS_MAX_RAW_SIZE: setting(
    whole(2),
    '4096',
    'Maximum length of `extra_claims` in characters.',
  ),
  EXTRA_CLAIMS_MAX_KEYS: setting(whole(1), '16', 'Maximum number of members of `extra_claims`.'),
  EXTRA_CLAIMS_MAX_VAL_SIZE: setting(
    whole(1),
    '512',
    'Maximum length of each value in `extra_claims`, as JSON, in characters.',
  ),
  JWT_SIGNING_ALGORITHM: setting(
    signingAlgorithm,
    'ES256',
    'Algorithm that signs access tokens: ES256, RS256 or EdDSA. Clients choose theirs for ID tokens; keys for all three always exist.',
  ),
  JWT_KEY_ROTATION_INTERVAL: setting(
    positiveDuration,
    '2160h',
    'How long a key signs before the next one takes over; old keys stay published until their last token has expired.',
  ),
  JWT_KEY_PUBLISH_AHEAD: setting(
    duration.refine(
      (ms) => ms >= 600_000,
      'write at least 10m: key lists are cached for 5 minutes',
    ),
    '24h',
    'How long before its first use a key is published, so that everyone who caches keys has it in time.',
  ),
  DPOP_REQUIRE_NONCE: setting(
    flag,
    'true',
    'Require a fresh nonce from this server in every DPoP proof (RFC 9449 §8). `false`: the clock of the client has to be correct within a minute instead.',
  ),
  INTROSPECTION_REQUIRE_OWNERSHIP: setting(
    flag,
    'true',
    'Let a client introspect only its own tokens and those for a resource that it serves. `false`: every confidential client may introspect every token.',
  ),
} satisfies Settings

type Values = ValuesOf<typeof settings>

function problems(v: Partial<Values>): string[] {
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

type LifetimeName = Extract<
  keyof Values,
  `${string}_TTL` | `${string}_EXPIRATION` | `${string}_MAX`
>

/** A lifetime beyond its cap would silently be shorter than what was written. */
const capped = (v: Partial<Values>, cap: LifetimeName, names: readonly LifetimeName[]) =>
  names.flatMap((name) =>
    Number(v[name] ?? 0) > Number(v[cap] ?? Number.POSITIVE_INFINITY)
      ? [`${name}: must not be longer than ${cap}.`]
      : [],
  )

const read = (v: Values) => ({
  lifetimes: readLifetimes(v),
  clientTokenMs: v.CLIENT_CREDENTIALS_TOKEN_EXPIRATION,
  refreshTokens: v.ENABLE_REFRESH_TOKENS,
  rotation: v.ENABLE_TOKEN_ROTATION,
  graceMs: v.REFRESH_TOKEN_GRACE,
  endsWithSession: v.TOKENS_END_WITH_SESSION,
  extraClaims: {
    claim: v.JWT_PRIVATE_CLAIM_PREFIX,
    maxLength: v.EXTRA_CLAIMS_MAX_RAW_SIZE,
    maxKeys: v.EXTRA_CLAIMS_MAX_KEYS,
    maxValueLength: v.EXTRA_CLAIMS_MAX_VAL_SIZE,
  },
  signingAlgorithm: v.JWT_SIGNING_ALGORITHM,
  keyRotation: {
    intervalMs: v.JWT_KEY_ROTATION_INTERVAL,
    publishAheadMs: v.JWT_KEY_PUBLISH_AHEAD,
    tokenLifetimeMs: v.JWT_EXPIRATION_MAX,
  },
  requireDpopNonce: v.DPOP_REQUIRE_NONCE,
  introspection: { requireOwnership: v.INTROSPECTION_REQUIRE_OWNERSHIP },
})

const readLifetimes = (v: Values) => ({
  profiles: {
    short: {
      accessMs: v.TOKEN_PROFILE_SHORT_ACCESS_TTL,
      refreshMs: v.TOKEN_PROFILE_SHORT_REFRESH_TTL,
    },
    standard: { accessMs: v.JWT_EXPIRATION, refreshMs: v.REFRESH_TOKEN_EXPIRATION },
    long: {
      accessMs: v.TOKEN_PROFILE_LONG_ACCESS_TTL,
      refreshMs: v.TOKEN_PROFILE_LONG_REFRESH_TTL,
    },
  },
  jitterMs: v.JWT_EXPIRATION_JITTER,
  maxAccessMs: v.JWT_EXPIRATION_MAX,
  familyMs: v.REFRESH_TOKEN_EXPIRATION_MAX,
})

export const tokens = { title: 'Tokens', settings, problems, read } satisfies Area

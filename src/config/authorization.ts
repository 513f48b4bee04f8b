/** What authorization requests are held to, and how long their answers are good. */
import { flag, positiveDuration } from './parsers.ts'
import { type Area, noProblems, type Settings, setting, type ValuesOf } from './setting.ts'

const settings = {
  AUTH_CODE_EXPIRATION: setting(
    positiveDuration,
    '1m',
    'Lifetime of an authorization code (RFC 6749 advises 10 minutes at most).',
  ),
  DEVICE_CODE_EXPIRATION: setting(
    positiveDuration,
    '30m',
    'Lifetime of a device code: how long a user has to approve a device (RFC 8628).',
  ),
  PKCE_REQUIRED: setting(
    flag,
    'false',
    'Require PKCE of every client. Otherwise confidential clients may rely on the nonce of OpenID Connect (RFC 9700 §2.1.1); public clients, plain OAuth requests and clients that must push their requests always need it.',
  ),
  REQUIRE_PUSHED_AUTHORIZATION_REQUESTS: setting(
    flag,
    'false',
    'Accept only authorization requests that clients have pushed to `/oauth/par` (RFC 9126). It can also be required per client.',
  ),
  PUSHED_REQUEST_EXPIRATION: setting(
    positiveDuration.refine((ms) => ms >= 5000 && ms <= 600_000, 'write a duration from 5s to 10m'),
    '90s',
    'How long a pushed request can be used by a browser.',
  ),
  CONSENT_REMEMBER: setting(flag, 'true', 'Do not ask again for what a user has already allowed.'),
} satisfies Settings

const read = (v: ValuesOf<typeof settings>) => ({
  codeLifetimeMs: v.AUTH_CODE_EXPIRATION,
  deviceCodeLifetimeMs: v.DEVICE_CODE_EXPIRATION,
  pkceRequired: v.PKCE_REQUIRED,
  pushRequired: v.REQUIRE_PUSHED_AUTHORIZATION_REQUESTS,
  pushedLifetimeMs: v.PUSHED_REQUEST_EXPIRATION,
  rememberConsent: v.CONSENT_REMEMBER,
})

export const authorization = {
  title: 'Authorization and consent',
  settings,
  problems: noProblems,
  read,
} satisfies Area

/** What authorization requests are held to, and how long their answers are good. */
import { flag, positiveDuration } from './parsers.ts'
import { type Area, noProblems, type Settings, setting, type ValuesOf } from './setting.ts'

const settings = {
  AUTH_CODE_EXPIRATION: setting(
    positiveDuration,
    '1m',
    'Life of an authorization code (RFC 6749 advises 10 minutes at most).',
  ),
  DEVICE_CODE_EXPIRATION: setting(
    positiveDuration,
    '30m',
    'Life of a device code: how long somebody has to answer a device (RFC 8628).',
  ),
  PKCE_REQUIRED: setting(
    flag,
    'false',
    'Ask PKCE of every client. Without it, confidential clients may rely on the nonce of OpenID Connect (RFC 9700 §2.1.1); public clients, plain OAuth requests and clients that have to push their requests always need it.',
  ),
  REQUIRE_PUSHED_AUTHORIZATION_REQUESTS: setting(
    flag,
    'false',
    'Accept no authorization request but those that clients have pushed to `/oauth/par` (RFC 9126). Clients can be registered to have to, too.',
  ),
  PUSHED_REQUEST_EXPIRATION: setting(
    positiveDuration.refine((ms) => ms >= 5000 && ms <= 600_000, 'write a duration from 5s to 10m'),
    '90s',
    'How long after a client has pushed a request a browser may come with it.',
  ),
  CONSENT_REMEMBER: setting(flag, 'true', 'Do not ask again for what a user has already approved.'),
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

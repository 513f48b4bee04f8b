/** Which clients there may be, and how they come to be. */
import { z } from 'zod'
import { isPrivateUseScheme } from '#/protocol/redirect-uri.ts'
import { duration, flag, list, positiveDuration, problem } from './parsers.ts'
import { type Area, noProblems, type Settings, setting, type ValuesOf } from './setting.ts'

/** `cursor`, or `cursor:` as people copy it. */
const schemes = list.transform((items, context) => {
  const named = items.map((item) => item.replace(/:(\/\/)?$/, '').toLowerCase())
  return named.every(isPrivateUseScheme)
    ? named
    : problem(context, 'write schemes of apps, such as cursor, and none that browsers know')
})

const settings = {
  ENABLE_DYNAMIC_CLIENT_REGISTRATION: setting(
    flag,
    'false',
    'Let clients register themselves at `/oauth/register` (RFC 7591) and manage their registration (RFC 7592).',
  ),
  DYNAMIC_CLIENT_REGISTRATION_TOKEN: setting(
    z
      .string()
      .regex(/^[\w.~+/-]{16,}=*$/, 'write at least 16 letters, digits or any of - . _ ~ + /'),
    undefined,
    'Initial access token that clients need to register. Unset: open registration.',
    { secret: true },
  ),
  DYNAMIC_CLIENT_REGISTRATION_STATUS: setting(
    z.enum(['pending', 'active'], 'write pending or active'),
    'pending',
    'Status of new clients: `pending` until an administrator approves them, and again when they change; or `active` immediately.',
  ),
  DYNAMIC_CLIENT_REGISTRATION_RETENTION: setting(
    positiveDuration,
    '720h',
    'How long self-registered clients stay pending, from their last change, before they are deleted; those with a consent stay. With `DYNAMIC_CLIENT_REGISTRATION_STATUS=active` also how long a client without consents and tokens is kept.',
  ),
  PRIVATE_USE_SCHEMES: setting(
    schemes,
    '',
    'Schemes without a dot, separated by commas, that apps may redirect to although any app can claim them, as in `cursor, vscode` (RFC 8252 §7.1). Reverse domain names are always allowed, and administrators may register any.',
  ),
  PKCE_REQUIRED_FOR_NEW_CLIENTS: setting(
    flag,
    'true',
    'Require PKCE of every new client, whether created by an administrator, at `/apps` or by registration. Administrators can change it for each client.',
  ),
  CLIENT_CACHE_TTL: setting(
    duration,
    '5s',
    'How long clients and signing keys (at most a minute) are cached in memory; changes reach every replica immediately through Postgres (behind a pooler see `DATABASE_DIRECT_URL`).',
  ),
} satisfies Settings

const read = (v: ValuesOf<typeof settings>) => ({
  registration: {
    enabled: v.ENABLE_DYNAMIC_CLIENT_REGISTRATION,
    initialToken: v.DYNAMIC_CLIENT_REGISTRATION_TOKEN,
    status: v.DYNAMIC_CLIENT_REGISTRATION_STATUS,
  },
  /** Whether strangers can register clients that may be used at once. */
  openRegistration:
    v.DYNAMIC_CLIENT_REGISTRATION_STATUS === 'active' &&
    v.DYNAMIC_CLIENT_REGISTRATION_TOKEN === undefined,
  registrationRetentionMs: v.DYNAMIC_CLIENT_REGISTRATION_RETENTION,
  privateUseSchemes: v.PRIVATE_USE_SCHEMES,
  /** Whether PKCE is asked of new clients. */
  requirePkce: v.PKCE_REQUIRED_FOR_NEW_CLIENTS,
  cacheTtlMs: v.CLIENT_CACHE_TTL,
})

export const clients = { title: 'Clients', settings, problems: noProblems, read } satisfies Area

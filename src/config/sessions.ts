/** How long a browser stays signed in, and what ties a session to it. */
import type { database } from './database.ts'
import { flag, list, positiveDuration, whole } from './parsers.ts'
import { type Area, type IsWritten, type Settings, setting, type ValuesOf } from './setting.ts'

const secrets = list.refine(
  (items) => items.length > 0 && items.every((item) => item.length >= 32),
  'write one or more secrets of at least 32 characters, newest first, separated by commas (openssl rand -base64 48)',
)

const secondsAsMs = (min: number) => whole(min).transform((seconds) => seconds * 1000)

const settings = {
  SESSION_SECRET: setting(
    secrets,
    undefined,
    'Seals cookies and wraps the signing keys. At least 32 characters; to rotate, write `new,old` and drop the old one after `SESSION_REMEMBER_ME_MAX_AGE`. Required with `DATABASE_URL`; generated beside the embedded database.',
    { secret: true },
  ),
  SESSION_MAX_AGE: setting(secondsAsMs(60), '43200', 'Maximum lifetime of a session in seconds.'),
  SESSION_IDLE_TIMEOUT: setting(
    secondsAsMs(0),
    '1800',
    'Seconds without a request after which a session ends; 0 for no limit. Not for remembered sessions.',
  ),
  SESSION_REMEMBER_ME_ENABLED: setting(flag, 'true', 'Offer "keep me signed in".'),
  SESSION_REMEMBER_ME_MAX_AGE: setting(
    secondsAsMs(60),
    '2592000',
    'Maximum lifetime of a remembered session in seconds.',
  ),
  SESSION_MAX_PER_USER: setting(
    whole(0),
    '0',
    'Maximum number of sessions per user; the oldest ends when another starts. 0 for no limit.',
  ),
  SESSION_FINGERPRINT: setting(
    flag,
    'true',
    'End a session whose cookie is sent by another browser or platform.',
  ),
  SESSION_FINGERPRINT_IP: setting(
    flag,
    'false',
    'Make the address part of the fingerprint. Signs out users whose address changes.',
  ),
  SESSION_RETENTION: setting(positiveDuration, '720h', 'How long ended sessions are kept.'),
  SESSION_SWEEP_INTERVAL: setting(
    positiveDuration,
    '30s',
    'How often lapsed sessions are ended and expired rows deleted.',
  ),
} satisfies Settings

type Values = ValuesOf<typeof settings>

const problems = (
  { DATABASE_URL }: Partial<ValuesOf<typeof database.settings>>,
  isWritten: IsWritten,
): string[] =>
  DATABASE_URL && !isWritten('SESSION_SECRET')
    ? [
        'SESSION_SECRET: is required with DATABASE_URL, so that all replicas agree; write a random text of at least 32 characters (openssl rand -base64 48).',
      ]
    : []

const read = (v: Values) => ({
  /** Newest first; undefined where one is to be made. */
  secrets: v.SESSION_SECRET,
  policy: {
    lifetimeMs: v.SESSION_MAX_AGE,
    rememberedMs: v.SESSION_REMEMBER_ME_MAX_AGE,
    rememberMe: v.SESSION_REMEMBER_ME_ENABLED,
    idleMs: v.SESSION_IDLE_TIMEOUT,
    most: v.SESSION_MAX_PER_USER,
    fingerprint: v.SESSION_FINGERPRINT,
    fingerprintAddress: v.SESSION_FINGERPRINT_IP,
  },
  retentionMs: v.SESSION_RETENTION,
  sweepIntervalMs: v.SESSION_SWEEP_INTERVAL,
})

export const sessions = { title: 'Sessions', settings, problems, read } satisfies Area

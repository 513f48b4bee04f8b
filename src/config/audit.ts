/** What is written down of what happens, and how long it is kept. */
import { flag, positiveDuration } from './parsers.ts'
import { type Area, noProblems, type Settings, setting, type ValuesOf } from './setting.ts'

const settings = {
  ENABLE_AUDIT_LOGGING: setting(flag, 'true', 'Write audit events.'),
  AUDIT_LOG_RETENTION: setting(positiveDuration, '2160h', 'How long audit events are kept.'),
  CONSENT_RETENTION: setting(positiveDuration, '2160h', 'How long revoked consents are kept.'),
} satisfies Settings

const read = (v: ValuesOf<typeof settings>) => ({
  enabled: v.ENABLE_AUDIT_LOGGING,
  retentionMs: v.AUDIT_LOG_RETENTION,
  consentRetentionMs: v.CONSENT_RETENTION,
})

export const audit = { title: 'Audit', settings, problems: noProblems, read } satisfies Area

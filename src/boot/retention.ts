import type { Config } from '#/config.ts'
import type { Retention } from '#/domain/sweeper/sweeper.ts'

/** How long what has ended is kept. */
export const retentionOf = (config: Config): Retention => ({
  sessionsMs: config.SESSION_RETENTION,
  auditMs: config.AUDIT_LOG_RETENTION,
  consentsMs: config.CONSENT_RETENTION,
  registrationsMs: config.DYNAMIC_CLIENT_REGISTRATION_RETENTION,
  registrationsUnasked: config.DYNAMIC_CLIENT_REGISTRATION_STATUS === 'active',
})

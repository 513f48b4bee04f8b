import type { Config } from '#/config/config.ts'
import type { Retention } from '#/domain/sweeper/sweeper.ts'

/** How long what has ended is kept. */
export const retentionOf = ({ sessions, audit, clients }: Config): Retention => ({
  sessionsMs: sessions.retentionMs,
  auditMs: audit.retentionMs,
  consentsMs: audit.consentRetentionMs,
  registrationsMs: clients.registrationRetentionMs,
  registrationsUnasked: clients.registration.status === 'active',
})

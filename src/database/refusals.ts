/** Errors at connecting that no waiting mends, since the server (or the certificate it shows) says no. */

import { codeOf } from './errors.ts'

/** SQLSTATE class 28 is authentication, 3D000 a database that is not there, 42501 one that may not be entered. */
export function isRefusal(error: unknown): boolean {
  const code = codeOf(error)
  if (/^(28|3D000|42501|CONNECTION_TLS|SASL)/.test(code)) return true
  // PgBouncer says nearly everything with one code, that it cannot reach its server among it.
  const message = error instanceof Error ? error.message : ''
  return (
    code === '08P01' &&
    /startup parameter|password authentication failed|no such (user|database)/.test(message)
  )
}

/** What the errors of the database and of its driver mean: the one home of their classes. */

/** This process gave up: nothing was sent, or no answer arrived in time. */
export class OutageError extends Error {
  override readonly name = 'OutageError'
  readonly code: 'DATABASE_DOWN' | 'DATABASE_LATE'

  constructor(code: OutageError['code'], message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.code = code
  }
}

export const lateError = (): OutageError =>
  new OutageError('DATABASE_LATE', 'the database did not answer in time')

/** `CONNECTION_TLS` is for what no repetition mends. */
export const connectionError = (
  message: string,
  code: `CONNECTION_${'CLOSED' | 'ENDED' | 'FAILED' | 'TLS'}` = 'CONNECTION_FAILED',
): Error => Object.assign(new Error(message), { code })

/** The SQLSTATE, or the driver's or system's word; empty where there is none. Drizzle wraps the driver's error. */
export function codeOf(error: unknown): string {
  for (const one of [error, error instanceof Error ? error.cause : undefined])
    if (one instanceof Error && 'code' in one && one.code !== undefined) return String(one.code)
  return ''
}

/** No connection: codes of the driver, of the system and of ours, and SQLSTATE class 08. */
const unreachable =
  /^(08|CONNECT|DATABASE_DOWN|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENETDOWN)/

/** Took too long: cancelled (57014), a lock not given (55P03), a transaction left alone (25P03, 25P04). */
const late = /^(57014|55P03|25P03|25P04|DATABASE_LATE)$/

/**
 * Whether a repetition may succeed, since nothing was wrong with what was asked: the database is out of reach, shutting
 * down (57P), too slow, full or out of another resource (53, 58), read-only (25006), or two transactions met (40).
 */
export function isOutage(error: unknown): boolean {
  const code = codeOf(error)
  return unreachable.test(code) || late.test(code) || /^(53|57P|58|40|25006$)/.test(code)
}

/** Whether it gave way to another transaction: as a whole it can be repeated. */
export const isConflict = (error: unknown): boolean => /^(40001|40P01)$/.test(codeOf(error))

/** Whether the database takes questions but nothing new: its disk is full, or it is read-only. */
export const isWriteRefusal = (error: unknown): boolean => /^(53100|25006)$/.test(codeOf(error))

/** Whether the server has no connection left for us (too many, or too many of this user), while others may well work. */
export const isConnectionLimit = (error: unknown): boolean => codeOf(error) === '53300'

/** Whether the connection is of no use after this error: only what the server says without ending it leaves one. */
export function endsConnection(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'PostgresError') return true
  return 'severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC')
}

/** Whether a failed statement broke a unique index (SQLSTATE 23505). */
export const isUniqueViolation = (error: unknown): boolean => codeOf(error) === '23505'

/** The class of an error for `error.type`. */
export function errorTypeOf(error: unknown): 'timeout' | 'connection' | 'constraint' | 'other' {
  const code = codeOf(error)
  if (late.test(code)) return 'timeout'
  if (code.startsWith('23')) return 'constraint'
  return unreachable.test(code) || code.startsWith('57P') ? 'connection' : 'other'
}

/** Whether no waiting mends it, since the server (or the certificate it shows) lets nobody of ours in. */
export function isRefusal(error: unknown): boolean {
  const code = codeOf(error)
  // Authentication (28), a database that is not there, one that may not be entered.
  if (/^(28|3D000|42501|CONNECTION_TLS|SASL)/.test(code)) return true
  // PgBouncer says nearly everything with one code, that it cannot reach its server among it.
  const message = error instanceof Error ? error.message : ''
  return (
    code === '08P01' &&
    /startup parameter|password authentication failed|no such (user|database)/.test(message)
  )
}

/** Whether the role that we are may not do it (SQLSTATE 42501). */
export const isDenied = (error: unknown): boolean => codeOf(error) === '42501'

/** What errors of ours say, so that they are taken for the database's: it cannot be reached; transactions met. */
export const sqlStates = { unreachable: '08006', conflict: '40001' } as const

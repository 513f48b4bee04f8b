/** Whether the database could not be reached, or is shutting down (SQLSTATE classes 08 and 57P), rather than having refused. */
export function isOutage(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause ?? error) : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /^(08|57P|CONNECT|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND)/.test(code)
}

/** Whether a failed statement broke a unique index (SQLSTATE 23505); Drizzle wraps the driver's error. */
export function isUniqueViolation(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === '23505'
}

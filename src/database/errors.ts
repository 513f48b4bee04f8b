/** Whether a failed statement broke a unique index (SQLSTATE 23505); Drizzle wraps the driver's error. */
export function isUniqueViolation(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === '23505'
}

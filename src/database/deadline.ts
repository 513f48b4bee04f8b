/**
 * Until when work may ask the database. A request that was answered "try again" must change nothing afterwards: its
 * statements are refused here once its time is over, and a statement that waits in the socket of a frozen server is
 * stopped by the moment that it carries itself, in the database's clock.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

/** Milliseconds on the clock of `performance.now()`, which no correction of the wall clock moves. */
export interface Deadline {
  at: number
}

const current = new AsyncLocalStorage<Deadline>()

/** Runs work, and whatever it starts, under a deadline; moving `at` later moves it for all of them. */
export const withDeadline = <T>(deadline: Deadline, work: () => T): T => current.run(deadline, work)

/** Runs work that others will use too: the request that happens to begin it must not end it. */
export const withoutDeadline = <T>(work: () => T): T =>
  current.run({ at: Number.POSITIVE_INFINITY }, work)

/** When the work at hand must be done, on the clock of `performance.now()`; Infinity for work of the server's own. */
export const deadlineAt = (): number => current.getStore()?.at ?? Number.POSITIVE_INFINITY

/** How long before our own giving up the server stops a write, so that its answer can still reach us. */
const answerMs = 250

const server = { timeoutMs: 5000, aheadOfUsMs: undefined as number | undefined }

/** How long one statement may take at most, its wait for a connection included. */
export function setStatementTimeout(timeoutMs: number): void {
  server.timeoutMs = timeoutMs
}

/**
 * Keeps how far the database's clock is from ours. Taken as if it had been read when its answer arrived: the error,
 * at most the way there and back, makes deadlines earlier and never later.
 */
export function keepDatabaseTime(databaseMs: number, receivedAt: number): void {
  server.aheadOfUsMs = databaseMs - receivedAt
}

/**
 * The moment in the database's clock from which a single-statement write must do nothing:
 * `and clock_timestamp() < deadline` in its condition.
 */
export function statementDeadline(): Date {
  const now = performance.now()
  const at = Math.min(deadlineAt(), now + server.timeoutMs) - marginMs()
  return new Date(at + (server.aheadOfUsMs ?? Date.now() - now))
}

/** Whether a write would be refused because the request waiting for it has timed out. */
export const isTooLate = (): boolean => performance.now() >= deadlineAt() - marginMs()

const marginMs = () => Math.min(answerMs, server.timeoutMs / 4)

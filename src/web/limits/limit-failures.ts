/**
 * Limits of what nobody can guess: codes, tokens and secrets of 256 bits. All requests count against a high ceiling,
 * before anything is done; what fails counts on its own, once it has failed. So a good request is never refused for what
 * others of its address got wrong, and beyond the limit a bad one learns nothing but 429.
 */
import type { Database } from '#/database/client.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext } from '#/web/request/context.ts'
import { byNetworks, enforceLimits, type Limiter, type Limiters } from './rate-limit.ts'

export interface FailureLimits {
  readonly db: Database
  /** For all requests, by address and network. */
  readonly ceiling: Limiter | undefined
  /** For those that fail. */
  readonly failures: Limiter | undefined
}

export const failureLimits = (
  { db, limiters }: { readonly db: Database; readonly limiters: Limiters },
  name: 'authorize' | 'device-code' | 'upstream-login' | 'upstream-callback',
): FailureLimits => ({ db, failures: limiters[name], ceiling: limiters[`${name}-ceiling`] })

/** Counts a request of an address against the ceiling, and against the limit of failures when `handle` throws one. */
export async function limitFailures<T>(
  c: AppContext,
  limits: FailureLimits,
  handle: () => Promise<T>,
): Promise<T> {
  await enforceCeiling(c, limits)
  return countFaults(c, { db: limits.db, failures: () => limits.failures }, handle)
}

/** Counts what `handle` throws, if it is the sender's doing, against the limit that is theirs by then. */
export async function countFaults<T>(
  c: AppContext,
  { db, failures }: { readonly db: Database; readonly failures: () => Limiter | undefined },
  handle: () => Promise<T>,
): Promise<T> {
  try {
    return await handle()
  } catch (error) {
    if (isFault(error)) await countFailure(c, { db, failures: failures() })
    throw error
  }
}

/** Notes what a limit refuses, where its endpoint has an outcome of its own for that. */
export async function notingLimit(enforce: () => Promise<unknown>, note: () => void) {
  try {
    await enforce()
  } catch (error) {
    if (error instanceof PageError) note()
    throw error
  }
}

/** Throws the 429 when the address, or a network around it, sends more than the machine can bear. */
export const enforceCeiling = (
  c: AppContext,
  { db, ceiling }: Pick<FailureLimits, 'db' | 'ceiling'>,
) => enforceLimits(c, db, byNetworks(ceiling, c.var.address))

/** Throws the 429 when the address, or a network around it, has failed too often. */
export const countFailure = (
  c: AppContext,
  { db, failures }: Pick<FailureLimits, 'db' | 'failures'>,
) => enforceLimits(c, db, byNetworks(failures, c.var.address))

/** What honest clients and people are answered in the course of things (RFC 8628 §3.5, OIDC Core §3.1.2.6, RFC 9449 §8). */
const ordinary = new Set<string>([
  'authorization_pending',
  'login_required',
  'consent_required',
  'interaction_required',
  'account_selection_required',
  'access_denied',
  'use_dpop_nonce',
  'server_error',
  'temporarily_unavailable',
])

/** Whether an error is the sender's doing, and out of the ordinary. */
const isFault = (error: unknown): boolean =>
  error instanceof OAuthError
    ? !ordinary.has(error.code)
    : error instanceof PageError && error.status !== 429 && error.status !== 503

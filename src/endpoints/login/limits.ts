/**
 * Limits of sign-in. Guessing is held back for each account from each address, for each address over all accounts, and
 * for each account over all addresses. A browser that has signed in to the account before counts for itself, so that
 * strangers who exhaust the account's limit lock nobody out.
 */
import type { Database } from '#/database/client.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { networkOf } from '#/web/client-address.ts'
import type { AppContext } from '#/web/context.ts'
import type { KnownBrowsers } from '#/web/known-browsers.ts'
import { enforceLimit, type Limiter, type RateLimits } from '#/web/rate-limit.ts'

export interface LoginLimits {
  readonly pair: Limiter | undefined
  readonly address: Limiter | undefined
  readonly account: Limiter | undefined
}

export function loginLimits(
  limits: RateLimits,
  config: {
    readonly LOGIN_RATE_LIMIT: number
    readonly LOGIN_ADDRESS_RATE_LIMIT: number
    readonly LOGIN_ACCOUNT_RATE_LIMIT: number
  },
): LoginLimits {
  const endpoint = '/login'
  return {
    pair: limits.limiter({ name: 'login', endpoint, perMinute: config.LOGIN_RATE_LIMIT }),
    address: limits.limiter({
      name: 'login-address',
      endpoint,
      perMinute: config.LOGIN_ADDRESS_RATE_LIMIT,
    }),
    account: limits.limiter({
      name: 'login-account',
      endpoint,
      perMinute: config.LOGIN_ACCOUNT_RATE_LIMIT,
    }),
  }
}

interface Options {
  readonly db: Database
  readonly limits: LoginLimits
  readonly knownBrowsers: KnownBrowsers
}

/** Counts one attempt; throws the 429 of the first limit that is exceeded. */
export async function enforceLoginLimits(
  c: AppContext,
  { db, limits, knownBrowsers }: Options,
  username: string,
): Promise<void> {
  // A digest: keys are of one length, and no name of an account stands in the store.
  const account = sha256(username)
  const browser = await knownBrowsers.recognise(c, username)
  if (browser !== undefined) return enforceLimit(c, db, limits.pair, `${account}:${browser}`)
  const network = networkOf(c.var.address)
  await enforceLimit(c, db, limits.address, network)
  await enforceLimit(c, db, limits.account, account)
  await enforceLimit(c, db, limits.pair, `${account}:${network}`)
}

/**
 * Limits of sign-in. Wrong passwords are counted for each account from each address and network, for each address and
 * network over all accounts, and for each account over all addresses; what was right, or never checked, is given back.
 * No stranger can lock an account: beyond its limits a network still has one attempt in every pause, whatever others do,
 * and a browser that has signed in to the account before counts for itself.
 */
import type { Database } from '#/database/client.ts'
import { findUserByUsername } from '#/domain/users/users.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { failuresWithoutPause } from '#/web/limits/limit-table.ts'
import {
  auditOrDrop,
  auditRefusal,
  byNetworks,
  consumeLimits,
  type Exceeded,
  enforceLimits,
  type Limiter,
  type Limiters,
  refuse,
  type Spent,
} from '#/web/limits/rate-limit.ts'
import { widestNetworkOf } from '#/web/request/client-address.ts'
import type { AppContext } from '#/web/request/context.ts'
import type { KnownBrowsers } from '#/web/sessions/known-browsers.ts'

export type LoginLimits = Pick<
  Limiters,
  'login' | 'login-address' | 'login-account' | 'login-day' | 'login-pause' | 'login-ceiling'
>

interface Options {
  readonly db: Database
  readonly limits: LoginLimits
  readonly knownBrowsers: KnownBrowsers
}

export interface LoginAttempt {
  /** The id of a browser that has signed in to the account before. */
  readonly browser: string | undefined
  /** Returns the attempt to the limits; for one that was no wrong password. */
  refund(): void
}

/** Counts one attempt; throws the 429 of the first limit that is exceeded, and counts nothing then. */
export async function enforceLoginLimits(
  c: AppContext,
  { db, limits, knownBrowsers }: Options,
  username: string,
): Promise<LoginAttempt> {
  // A digest: keys are of one length, and no name of an account stands in the store.
  const account = sha256(username)
  const { address } = c.var
  const ceiling = byNetworks(limits['login-ceiling'], address, { kept: true })
  const browser = await knownBrowsers.recognise(c, username)
  if (browser !== undefined) {
    const own = { limiter: limits.login, key: `${account}:${browser}` }
    const { refund } = await enforceLimits(c, db, [own, ...ceiling])
    return { browser, refund }
  }
  const ofAccount = [
    { limiter: limits['login-account'], key: account },
    { limiter: limits['login-day'], key: account },
  ]
  const others = [
    ...byNetworks(limits.login, address, { prefix: `${account}:` }),
    ...byNetworks(limits['login-address'], address),
    ...ceiling,
  ]
  const first = await consumeLimits(c, [...others, ...ofAccount], isOfAccount)
  if (!('exceeded' in first)) return strangersAttempt(first)
  if (!isOfAccount(first.exceeded)) throw await refuse(c, db, first)
  if (first.first) await noteGuessing(c, db, { username, exceeded: first })
  const pause = {
    limiter: limits['login-pause'],
    key: `${account}:${widestNetworkOf(address)}`,
    windowMs: pauseAfter(first),
  }
  const uncapped = ofAccount.map((check) => ({ ...check, limit: Number.MAX_SAFE_INTEGER }))
  return strangersAttempt(await enforceLimits(c, db, [...others, pause, ...uncapped]))
}

const strangersAttempt = ({ refund }: Spent): LoginAttempt => ({
  browser: undefined,
  refund,
})

const isOfAccount = ({ name }: Limiter) => name === 'login-account' || name === 'login-day'

const minPauseMs = 2000
const maxPauseMs = 60_000

/** The pause between attempts of one network: doubles within a day, and is the longest from the start in a flood. */
function pauseAfter({ exceeded, count }: Exceeded): number {
  if (exceeded.name === 'login-account') return maxPauseMs
  const doublings = Math.floor(count / failuresWithoutPause) - 1
  return Math.min(maxPauseMs, minPauseMs * 2 ** doublings)
}

/** Once per day and account, and once per minute of a flood, so that operators see which user is under attack. */
async function noteGuessing(
  c: AppContext,
  db: Database,
  { username, exceeded }: { username: string; exceeded: Exceeded },
) {
  const isNew = exceeded.exceeded.name === 'login-day'
  const user = isNew ? await findUserByUsername(db, username) : undefined
  if (!user) return auditRefusal(c, db, exceeded)
  await auditOrDrop(c, db, {
    type: 'SUSPICIOUS_ACTIVITY',
    at: c.var.now,
    success: false,
    resource: { type: 'user', id: user.id },
    details: { reason: 'password_guessing', failures: exceeded.count },
  })
}

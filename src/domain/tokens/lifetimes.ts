/** How long tokens live: a preset for each client, within caps that hold for all. */
import type { Client } from '#/domain/clients/clients.ts'
import { mayRefresh } from './narrow.ts'
import type { TokenLifetimes } from './tokens.ts'

type Profile = Client['tokenProfile']

export interface LifetimePolicy {
  readonly profiles: Readonly<Record<Profile, Pick<TokenLifetimes, 'accessMs' | 'refreshMs'>>>
  /** Most that is added, at random, to access tokens of the standard profile: clients that began together then refresh apart. */
  readonly jitterMs: number
  readonly maxAccessMs: number
  readonly familyMs: number
}

/** How tokens last, whatever the client. */
export interface TokenPolicy {
  readonly lifetimes: LifetimePolicy
  readonly refreshTokens: boolean
  readonly endsWithSession: boolean
}

/** How long what a user allows lasts. */
export interface AccessDuration {
  readonly accessMs: number
  /** With refresh tokens, while the user is away; undefined without. */
  readonly refreshMs: number | undefined
  readonly endsWithSession: boolean
}

/** How long a client will have access by what it asks for; `hasSession` unless it is for a device of its own. */
export function accessDurationOf(
  { tokenProfile, grantTypes }: Pick<Client, 'tokenProfile' | 'grantTypes'>,
  { scope, hasSession }: { scope: string; hasSession: boolean },
  { lifetimes, refreshTokens, endsWithSession }: TokenPolicy,
): AccessDuration {
  const { accessMs, familyMs } = lifetimesOf(tokenProfile, lifetimes, () => 0)
  const refreshes = refreshTokens && grantTypes.includes('refresh_token') && mayRefresh(scope)
  return {
    accessMs,
    refreshMs: refreshes ? familyMs : undefined,
    endsWithSession: hasSession && !refreshes && endsWithSession,
  }
}

/** The lifetimes for one response; `random` answers 0 up to 1. */
export function lifetimesOf(
  profile: Profile,
  { profiles, jitterMs, maxAccessMs, familyMs }: LifetimePolicy,
  random: () => number = Math.random,
): TokenLifetimes {
  const { accessMs, refreshMs } = profiles[profile]
  // Whole seconds: `exp` knows no others, and `expires_in` is to say the same.
  const jitter = profile === 'standard' ? Math.floor((random() * jitterMs) / 1000) * 1000 : 0
  return { accessMs: Math.min(accessMs + jitter, maxAccessMs), refreshMs, familyMs }
}

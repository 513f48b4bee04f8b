/** How long tokens live: a preset for each client, within caps that hold for all. */
import type { Client } from '#/domain/clients/clients.ts'
import type { TokenLifetimes } from './tokens.ts'

type Profile = Client['tokenProfile']

export interface LifetimePolicy {
  readonly profiles: Readonly<Record<Profile, Pick<TokenLifetimes, 'accessMs' | 'refreshMs'>>>
  /** Most that is added, at random, to access tokens of the standard profile: clients that began together then refresh apart. */
  readonly jitterMs: number
  readonly longestAccessMs: number
  readonly familyMs: number
}

/** The lifetimes for one response; `random` answers 0 up to 1. */
export function lifetimesOf(
  profile: Profile,
  { profiles, jitterMs, longestAccessMs, familyMs }: LifetimePolicy,
  random: () => number = Math.random,
): TokenLifetimes {
  const { accessMs, refreshMs } = profiles[profile]
  // Whole seconds: `exp` knows no others, and `expires_in` is to say the same.
  const jitter = profile === 'standard' ? Math.floor((random() * jitterMs) / 1000) * 1000 : 0
  return { accessMs: Math.min(accessMs + jitter, longestAccessMs), refreshMs, familyMs }
}

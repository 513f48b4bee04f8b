/** How long sessions live and what ties one to its browser. */
import { nameBrowser } from '#/domain/sessions/browser.ts'
import { sha256 } from '#/protocol/secrets.ts'
import type { AppContext } from '#/web/request/context.ts'

export interface SessionPolicy {
  readonly lifetimeMs: number
  readonly rememberedMs: number
  readonly rememberMe: boolean
  /** 0 for none. */
  readonly idleMs: number
  /** How many sessions a user may have at once; 0 for any number. */
  readonly most: number
  readonly fingerprint: boolean
  readonly fingerprintAddress: boolean
  readonly touch: { readonly idleMs: number; readonly everyMs: number }
}

export function sessionPolicy(config: {
  readonly SESSION_MAX_AGE: number
  readonly SESSION_REMEMBER_ME_MAX_AGE: number
  readonly SESSION_REMEMBER_ME_ENABLED: boolean
  readonly SESSION_IDLE_TIMEOUT: number
  readonly SESSION_MAX_PER_USER: number
  readonly SESSION_FINGERPRINT: boolean
  readonly SESSION_FINGERPRINT_IP: boolean
}): SessionPolicy {
  const idleMs = config.SESSION_IDLE_TIMEOUT
  return {
    lifetimeMs: config.SESSION_MAX_AGE,
    rememberedMs: config.SESSION_REMEMBER_ME_MAX_AGE,
    rememberMe: config.SESSION_REMEMBER_ME_ENABLED,
    idleMs,
    most: config.SESSION_MAX_PER_USER,
    fingerprint: config.SESSION_FINGERPRINT,
    fingerprintAddress: config.SESSION_FINGERPRINT_IP,
    // A session is touched at most once a minute, and often enough that a short idle limit still means what it says.
    touch: { idleMs, everyMs: Math.min(60_000, idleMs === 0 ? 60_000 : idleMs / 10) },
  }
}

/** A digest of browser and platform, and of the address if the policy says so; null when fingerprints are off. */
export function fingerprintOf(c: AppContext, policy: SessionPolicy): string | null {
  if (!policy.fingerprint) return null
  const { browser, platform } = nameBrowser(c.req.header('user-agent') ?? '')
  return sha256([browser, platform, policy.fingerprintAddress ? c.var.address : ''].join('|'))
}

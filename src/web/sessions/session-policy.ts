/** How long sessions live and what ties one to its browser. */
import { nameBrowser } from '#/domain/sessions/browser.ts'
import { sha256 } from '#/protocol/secrets.ts'
import type { AppContext } from '#/web/request/context.ts'

interface SessionLimits {
  readonly lifetimeMs: number
  readonly rememberedMs: number
  readonly rememberMe: boolean
  /** 0 for none. */
  readonly idleMs: number
  /** How many sessions a user may have at once; 0 for any number. */
  readonly most: number
  readonly fingerprint: boolean
  readonly fingerprintAddress: boolean
}

export interface SessionPolicy extends SessionLimits {
  readonly touch: { readonly idleMs: number; readonly everyMs: number }
}

/** A session is touched at most once a minute, and often enough that a short idle limit still means what it says. */
export function sessionPolicy(limits: SessionLimits): SessionPolicy {
  const { idleMs } = limits
  const everyMs = Math.min(60_000, idleMs === 0 ? 60_000 : idleMs / 10)
  return { ...limits, touch: { idleMs, everyMs } }
}

/** A digest of browser and platform, and of the address if the policy says so; null when fingerprints are off. */
export function fingerprintOf(c: AppContext, policy: SessionPolicy): string | null {
  if (!policy.fingerprint) return null
  const { browser, platform } = nameBrowser(c.req.header('user-agent') ?? '')
  return sha256([browser, platform, policy.fingerprintAddress ? c.var.address : ''].join('|'))
}

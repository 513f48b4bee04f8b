import type { TokenPolicy } from '#/domain/tokens/lifetimes.ts'
import type { Offered } from '#/protocol/offered.ts'
import type { ClientAuthentication } from '#/web/clients/client-authentication.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { FailureLimits } from '#/web/limits/limit-failures.ts'
import type { Limiter } from '#/web/limits/rate-limit.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'

/** The limits are of requests for codes. */
export interface DeviceOptions extends FailureLimits {
  readonly issuer: string
  readonly offered: Offered
  readonly authentication: ClientAuthentication
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly secrets: readonly string[]
  readonly lifetimeMs: number
  readonly lasting: TokenPolicy
  /** Of user codes that are entered: by address, and by session. */
  readonly verifyLimiters: readonly [Limiter | undefined, Limiter | undefined]
}

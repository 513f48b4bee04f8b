import type { TokenPolicy } from '#/domain/tokens/lifetimes.ts'
import type { RequestRules } from '#/web/authorization-request/parse.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { FailureLimits } from '#/web/limits/limit-failures.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'

export interface AuthorizeOptions extends RequestRules, FailureLimits {
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly secrets: readonly string[]
  readonly codeLifetimeMs: number
  readonly rememberConsent: boolean
  readonly lasting: TokenPolicy
}

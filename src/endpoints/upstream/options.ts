import type { ReadCache } from '#/database/read-cache.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { Provider } from '#/domain/identity-providers/provider.ts'
import type { IsReserved } from '#/protocol/reserved-usernames.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { FailureLimits } from '#/web/limits/limit-failures.ts'
import type { CookieJar } from '#/web/sessions/cookies.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'
import type { SignInOptions } from '#/web/sessions/sign-in.ts'
import type { PendingSignIns } from './pending.ts'

export interface UpstreamRoutesOptions extends SignInOptions {
  readonly providers: readonly Provider[]
  readonly clients: ReadCache<Client>
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly secrets: readonly string[]
  readonly jar: CookieJar
  readonly issuer: string
  readonly autoRegister: boolean
  readonly isReserved: IsReserved
  readonly loginLimits: FailureLimits
  readonly callbackLimits: FailureLimits
}

export interface UpstreamOptions extends UpstreamRoutesOptions {
  readonly pending: PendingSignIns
}

/**
 * Signing in through an identity provider: /auth/login/:provider sends the browser there, /auth/callback/:provider
 * takes it back. The answer counts for the browser that left, once (RFC 9700 §2.1, §4.4 and §4.7).
 */
import { Hono } from 'hono'
import type { ReadCache } from '#/database/read-cache.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { Provider } from '#/domain/identity-providers/provider.ts'
import type { IsReserved } from '#/protocol/reserved-usernames.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { FailureLimits } from '#/web/limits/limit-failures.ts'
import type { AppEnv } from '#/web/request/context.ts'
import type { CookieJar } from '#/web/sessions/cookies.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'
import type { SignInOptions } from '#/web/sessions/sign-in.ts'
import { getLogin, postLink } from './begin.ts'
import { getCallback } from './callback.ts'
import { createPendingSignIns, type PendingSignIns } from './pending.ts'

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

export function upstreamRoutes(given: UpstreamRoutesOptions): Hono<AppEnv> {
  const options = { ...given, pending: createPendingSignIns(given) }
  return new Hono<AppEnv>()
    .get('/auth/login/:provider', (c) => getLogin(c, options))
    .get('/auth/callback/:provider', given.sessions.optionalUser, (c) => getCallback(c, options))
    .post(
      '/account/security/links/:provider',
      given.sessions.requireUser,
      given.csrf.require,
      (c) => postLink(c, options),
    )
}

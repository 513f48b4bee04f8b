/**
 * Signing in through an identity provider: /auth/login/:provider sends the browser there, /auth/callback/:provider
 * takes it back. The answer counts for the browser that left, once (RFC 9700 §2.1, §4.4 and §4.7).
 */
import { Hono } from 'hono'
import type { AppEnv } from '#/web/request/context.ts'
import { getLogin, postLink } from './begin.ts'
import { getCallback } from './callback.ts'
import type { UpstreamRoutesOptions } from './options.ts'
import { createPendingSignIns } from './pending.ts'

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

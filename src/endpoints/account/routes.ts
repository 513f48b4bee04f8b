/** Self-service pages: signed-in devices, apps with access, password. */
import { Hono } from 'hono'
import type { Database } from '#/database/client.ts'
import type { Passwords } from '#/domain/users/passwords.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { Limiter } from '#/web/limits/rate-limit.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'
import type { SessionCookies } from '#/web/sessions/session-cookies.ts'
import { getAuthorizations, postRevokeConsent } from './authorizations.ts'
import { getDevices, postRevokeDevice, postRevokeOtherDevices } from './devices.ts'
import { getFirstPassword, postFirstPassword, postOutdatedPassword } from './first-password.ts'
import { type LinkSources, postRemoveLink } from './links.ts'
import { getSecurity, postPassword } from './security.ts'
import { getTokens, postRevokeAllTokens, postRevokeTokens } from './tokens.ts'

export interface AccountOptions {
  readonly db: Database
  readonly issuer: string
  readonly cookies: SessionCookies
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly passwords: Passwords
  readonly providers: LinkSources
  /** Limits guesses of the current password, by user: a stolen session must not lead to the password. */
  readonly passwordLimiter: Limiter | undefined
}

export function accountRoutes(options: AccountOptions): Hono<AppEnv> {
  const { sessions, csrf } = options
  const askAgain = (c: AppContext) => postOutdatedPassword(c, options)
  return new Hono<AppEnv>()
    .get('/account/devices', sessions.requireUser, (c) => getDevices(c, options))
    .post('/account/devices/revoke-others', sessions.requireUser, csrf.require, (c) =>
      postRevokeOtherDevices(c, options),
    )
    .post('/account/devices/:id/revoke', sessions.requireUser, csrf.require, (c) =>
      postRevokeDevice(c, options),
    )
    .get('/account/authorizations', sessions.requireUser, (c) => getAuthorizations(c, options))
    .post('/account/authorizations/:id/revoke', sessions.requireUser, csrf.require, (c) =>
      postRevokeConsent(c, options),
    )
    .get('/account/tokens', sessions.requireUser, (c) => getTokens(c, options))
    .post('/account/tokens/revoke-all', sessions.requireUser, csrf.require, (c) =>
      postRevokeAllTokens(c, options),
    )
    .post('/account/tokens/:id/revoke', sessions.requireUser, csrf.require, (c) =>
      postRevokeTokens(c, options),
    )
    .get('/account/password', sessions.requireUser, (c) => getFirstPassword(c, options))
    .post('/account/password', sessions.requireUser, csrf.requireOr(askAgain), (c) =>
      postFirstPassword(c, options),
    )
    .get('/account/security', sessions.requireUser, (c) => getSecurity(c, options))
    .post('/account/security/password', sessions.requireUser, csrf.require, (c) =>
      postPassword(c, options),
    )
    .post('/account/security/links/:id/remove', sessions.requireUser, csrf.require, (c) =>
      postRemoveLink(c, options),
    )
}

import type { Database } from '#/database/client.ts'
import type { Passwords } from '#/domain/users/passwords.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { Limiter } from '#/web/limits/rate-limit.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'
import type { SessionCookies } from '#/web/sessions/session-cookies.ts'

/** The providers that are set up. */
export type LinkSources = readonly {
  readonly source: string
  readonly title: string
  /** Whether an address that it calls verified opens the account with that address. */
  readonly trustEmail: boolean
}[]

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

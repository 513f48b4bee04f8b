/**
 * CSRF tokens without server state: an HMAC over a random cookie of this browser and, once signed in, its session.
 * Signing in changes the token, and a cookie planted by somebody else is worth nothing to a signed-in form.
 */
import type { MiddlewareHandler } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import { constantTimeEqual, deriveKey, hmac, randomSecret } from '#/protocol/secrets.ts'
import type { AppContext, AppEnv } from './context.ts'
import { readFields } from './forms.ts'
import { PageError } from './page-error.ts'

const csrfCookie = 'oauth_csrf'

export interface Csrf {
  /** The token for a form on the page being rendered. */
  token(c: AppContext): string
  /** Refuses a form whose token was not made for this browser and session. Runs after the session middleware. */
  readonly require: MiddlewareHandler<AppEnv>
}

export function createCsrf({
  secrets,
  secure,
}: {
  secrets: readonly string[]
  secure: boolean
}): Csrf {
  const keys = secrets.map((secret) => deriveKey(secret, 'csrf'))
  const tokenUnder = (key: Uint8Array, c: AppContext, browser: string) =>
    hmac(key, `${browser}|${c.var.signedIn?.session.id ?? ''}`)
  return {
    token(c) {
      const known = getCookie(c, csrfCookie)
      const browser = known && isBrowserValue(known) ? known : randomSecret()
      if (browser !== known) {
        setCookie(c, csrfCookie, browser, { path: '/', httpOnly: true, sameSite: 'Lax', secure })
      }
      return tokenUnder(keys[0] ?? new Uint8Array(), c, browser)
    },
    async require(c, next) {
      const browser = getCookie(c, csrfCookie) ?? ''
      // Other fields may repeat, as checkboxes do; the handler judges them.
      const [presented = '', ...more] = (await readFields(c)).getAll('csrf_token')
      const genuine =
        c.req.header('sec-fetch-site') !== 'cross-site' &&
        more.length === 0 &&
        isBrowserValue(browser) &&
        keys.some((key) => constantTimeEqual(presented, tokenUnder(key, c, browser)))
      if (!genuine) {
        throw new PageError(
          403,
          'This form has expired',
          'Go back, reload the page and try again. Cookies must be allowed.',
        )
      }
      await next()
    },
  }
}

const isBrowserValue = (value: string) => /^[A-Za-z0-9_-]{43}$/.test(value)

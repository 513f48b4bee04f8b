/**
 * CSRF tokens without server state: an HMAC over a random cookie of this browser and, once signed in, its session.
 * Signing in changes the token, and a cookie planted by somebody else is worth nothing to a signed-in form.
 */
import type { MiddlewareHandler } from 'hono'
import { constantTimeEqual, deriveKey, hmac, randomSecret } from '#/protocol/secrets.ts'
import type { AppContext, AppEnv } from './context.ts'
import type { Cookie, CookieJar } from './cookies.ts'
import { readFields } from './forms.ts'
import { PageError } from './page-error.ts'

const csrfCookie: Cookie = { name: 'oauth_csrf', path: '/', shared: true }

export interface Csrf {
  /** The token for a form on the page being rendered. */
  token(c: AppContext): string
  /** Refuses a form whose token was not made for this browser and session. Runs after the session middleware. */
  readonly require: MiddlewareHandler<AppEnv>
}

export function createCsrf({ secrets, jar }: { secrets: readonly string[]; jar: CookieJar }): Csrf {
  const keys = secrets.map((secret) => deriveKey(secret, 'csrf'))
  const tokenUnder = (key: Uint8Array, c: AppContext, browser: string) =>
    hmac(key, `${browser}|${c.var.signedIn?.session.id ?? ''}`)
  const browserOf = (c: AppContext) =>
    jar.read(c, csrfCookie) ?? jar.readEarlier(c, csrfCookie) ?? ''
  const isKept = (c: AppContext, browser: string) =>
    jar.read(c, csrfCookie) === browser &&
    (!jar.prefixed || jar.readEarlier(c, csrfCookie) === browser)
  return {
    token(c) {
      const known = browserOf(c)
      const browser = isBrowserValue(known) ? known : randomSecret()
      if (!isKept(c, browser)) jar.write(c, csrfCookie, browser)
      return tokenUnder(keys[0] ?? new Uint8Array(), c, browser)
    },
    async require(c, next) {
      const browser = browserOf(c)
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

/**
 * CSRF tokens without server state: an HMAC over a random cookie of this browser and, once signed in, its session; and
 * the form must have been sent from here, as far as the browser says (decision 0025).
 * Signing in changes the token, and a cookie planted by somebody else is worth nothing to a signed-in form.
 */
import type { Handler, MiddlewareHandler } from 'hono'
import { constantTimeEqual, deriveKey, hmac, newestOf, randomSecret } from '#/protocol/secrets.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { readFields } from '#/web/request/forms.ts'
import { noteRefusedUser } from '#/web/request/note-refusal.ts'
import type { Cookie, CookieJar } from '#/web/sessions/cookies.ts'
import { isFromOwnSite, pageOfForm } from './own-site.ts'

const csrfCookie: Cookie = { name: 'oauth_csrf', path: '/', shared: true }

export interface Csrf {
  /** The token for a form on the page being rendered. */
  token(c: AppContext): string
  /** Refuses a form whose token was not made for this browser and session. Runs after the session middleware. */
  readonly require: MiddlewareHandler<AppEnv>
  /** The same, but `showAgain` answers a form that is merely out of date; what another site has sent is refused. */
  requireOr(showAgain: Handler<AppEnv>): MiddlewareHandler<AppEnv>
}

/** The text for a form that has expired. */
export const outdated =
  'Nothing was changed: this page had expired, perhaps because you signed in or out in another tab. Please try again, with cookies enabled.'

export function createCsrf({
  secrets,
  jar,
  issuer,
}: {
  secrets: readonly string[]
  jar: CookieJar
  issuer: string
}): Csrf {
  const keys = secrets.map((secret) => deriveKey(secret, 'csrf'))
  const tokenUnder = (key: Uint8Array, c: AppContext, browser: string) =>
    hmac(key, `${browser}|${c.var.signedIn?.session.id ?? ''}`)
  const browserOf = (c: AppContext) =>
    jar.read(c, csrfCookie) ?? jar.readEarlier(c, csrfCookie) ?? ''
  const isKept = (c: AppContext, browser: string) =>
    jar.read(c, csrfCookie) === browser &&
    (!jar.prefixed || jar.readEarlier(c, csrfCookie) === browser)
  async function isGenuine(c: AppContext): Promise<boolean> {
    const browser = browserOf(c)
    // Other fields may repeat, as checkboxes do; the handler judges them.
    const [presented = '', ...more] = (await readFields(c)).getAll('csrf_token')
    return (
      more.length === 0 &&
      isBrowserValue(browser) &&
      keys.some((key) => constantTimeEqual(presented, tokenUnder(key, c, browser)))
    )
  }
  const requireOr =
    (showAgain: Handler<AppEnv>): MiddlewareHandler<AppEnv> =>
    async (c, next) => {
      // A cookie and its token may have been planted; where the form was sent from cannot be.
      if (isFromOwnSite(c, issuer) === false) {
        noteRefusedUser(c, 'cross_site_form')
        throw new PageError(
          403,
          'This form came from another site',
          'Nothing was changed. If you meant to do this, open the page here and try again.',
        )
      }
      if (await isGenuine(c)) return next()
      noteRefusedUser(c, 'outdated_form')
      return showAgain(c, next)
    }
  return {
    token(c) {
      const known = browserOf(c)
      const browser = isBrowserValue(known) ? known : randomSecret()
      if (!isKept(c, browser)) jar.write(c, csrfCookie, browser)
      return tokenUnder(newestOf(keys), c, browser)
    },
    require: requireOr(refuseOutdated),
    requireOr,
  }
}

/** Leads back to the page that the form was on, which then has a token of today. */
const refuseOutdated: Handler<AppEnv> = (c) => {
  const back = { href: pageOfForm(c) ?? '/', text: 'Back to the page' }
  throw new PageError(403, 'This form has expired', outdated, { back })
}

const isBrowserValue = (value: string) => /^[A-Za-z0-9_-]{43}$/.test(value)

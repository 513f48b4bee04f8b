/** Where a request was initiated: on our own page, by the user, or on another site. */
import type { AppContext } from '#/web/request/context.ts'
import { safePath } from './safe-path.ts'

/**
 * Whether a page of ours or the user began it, as far as the browser says; undefined when it says nothing. Browsers write
 * these headers themselves (Fetch Metadata; Fetch standard, Origin), so no other page can.
 */
export function isFromOwnSite(c: AppContext, issuer: string): boolean | undefined {
  const site = c.req.header('sec-fetch-site')
  // Not `same-site`: a sibling domain may be anybody's.
  if (site !== undefined) return site === 'same-origin' || site === 'none'
  const origin = c.req.header('origin')
  return origin === undefined ? undefined : ownOrigins(c, issuer).includes(origin)
}

/** Without TLS a server often has several names; with TLS, a plain http origin is another site. */
function ownOrigins(c: AppContext, issuer: string): readonly string[] {
  const { origin, protocol } = new URL(issuer)
  return protocol === 'http:' ? [origin, new URL(c.req.url).origin] : [origin]
}

/** The page of ours that a form was on, if the browser says so. */
export function pageOfForm(c: AppContext): string | undefined {
  const referer = c.req.header('referer')
  if (referer === undefined || !URL.canParse(referer)) return undefined
  const { pathname, search } = new URL(referer)
  const { basePath = '' } = c.var
  if (!pathname.startsWith(`${basePath}/`)) return undefined
  return safePath(pathname.slice(basePath.length) + search, '') || undefined
}

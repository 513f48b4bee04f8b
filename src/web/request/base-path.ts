/**
 * `BASE_URL` may have a path (`https://example.org/auth`). All other code is written as if the server lived at the root:
 * requests lose the path on their way in, and every address that a browser is given gets it on the way out, here alone.
 * So no page and no redirect can forget it; cookies get it where all of them are made (`cookies.ts`).
 */
import type { MiddlewareHandler } from 'hono'
import { getPath } from 'hono/utils/url'
import type { AppEnv } from './context.ts'

/** `''` at the root, or such as `/auth`. */
export const basePathOf = (baseUrl: string): string => new URL(baseUrl).pathname.replace(/\/$/, '')

/** How Hono finds the route of a request. `stripped`: a proxy has taken the path away already. */
export const routing = (path: string, { stripped }: { stripped: boolean }) =>
  path === ''
    ? {}
    : { getPath: (request: Request) => routeOf(getPath(request), { path, stripped }) }

function routeOf(asked: string, { path, stripped }: { path: string; stripped: boolean }): string {
  // RFC 8414 §3.1 puts the path of an issuer behind the well-known name, outside the path itself.
  if (asked.startsWith('/.well-known/') && asked.endsWith(path)) return asked.slice(0, -path.length)
  if (stripped) return asked
  if (asked === path) return '/'
  return asked.startsWith(`${path}/`) ? asked.slice(path.length) : asked
}

/** Puts the path before every address of ours in an answer: in redirects, and in the attributes of pages. */
export function underPath(path: string): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    c.set('basePath', path)
    await next()
    const { headers, status } = c.res
    const location = headers.get('location')
    if (location !== null && isOurs(location)) headers.set('location', path + location)
    if (!headers.get('content-type')?.startsWith('text/html')) return
    const page = withLinksUnder(path, await c.res.text())
    // Hono would merge the headers of an answer that is merely replaced.
    c.res = undefined
    c.res = new Response(page, { status, headers })
  }
}

/** A path, and not `//host`. */
const isOurs = (address: string) => /^\/(?!\/)/.test(address)

/** Templates escape quotation marks in all that they are given, so one behind such a name begins an attribute. */
const withLinksUnder = (path: string, page: string) =>
  page.replace(/(?<=\s(?:href|src|action|formaction)=")(?=\/(?!\/))/g, path)

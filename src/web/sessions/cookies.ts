/**
 * Names and attributes of all cookies. Under https a name begins with a prefix (RFC 6265bis §4.1.3), so that neither a
 * sibling domain nor plain http can plant one. For one release the plain names of earlier ones are read as well, and
 * written for replicas that know no others.
 */
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { CookieOptions } from 'hono/utils/cookie'
import type { AppContext } from '#/web/request/context.ts'

export interface Cookie {
  readonly name: string
  /** The part of the server that needs it, where no prefix asks for the whole host. */
  readonly path: '/' | '/login' | '/auth'
  /** Whether replicas of an earlier release have to find it. */
  readonly shared: boolean
}

export interface CookieJar {
  /** Whether names have a prefix. */
  readonly prefixed: boolean
  read(c: AppContext, cookie: Cookie): string | undefined
  /** What stands under the plain name; undefined where names have no prefix. Other hosts of the domain may have planted it. */
  readEarlier(c: AppContext, cookie: Cookie): string | undefined
  /** `maxAge` in seconds; undefined: until the browser is closed. */
  write(c: AppContext, cookie: Cookie, value: string, maxAge?: number): void
  clear(c: AppContext, cookie: Cookie): void
  /** The names, without prefix, of the cookies that came and begin like this. */
  list(c: AppContext, beginning: string): string[]
}

/** `path`: where the server lives, without a slash at its end unless that is all. */
export function createCookies({
  secure,
  path: base,
}: {
  readonly secure: boolean
  readonly path: string
}): CookieJar {
  const prefix = prefixOf(secure, base)
  const attributes: CookieOptions = { httpOnly: true, sameSite: 'Lax', secure }
  const own = ({ path }: Cookie) => ({
    ...attributes,
    path: prefix === '__Host-' ? '/' : below(base, path),
  })
  const earlier = ({ path }: Cookie) => ({ ...attributes, path })
  return {
    prefixed: prefix !== '',
    read: (c, { name }) => getCookie(c, `${prefix}${name}`),
    readEarlier: (c, { name }) => (prefix === '' ? undefined : getCookie(c, name)),
    write(c, cookie, value, maxAge) {
      const age = maxAge === undefined ? {} : { maxAge }
      setCookie(c, `${prefix}${cookie.name}`, value, { ...own(cookie), ...age })
      // Earlier releases lived nowhere but at the root.
      if (prefix === '__Host-' && cookie.shared)
        setCookie(c, cookie.name, value, { ...earlier(cookie), ...age })
    },
    clear(c, cookie) {
      deleteCookie(c, `${prefix}${cookie.name}`, own(cookie))
      if (prefix !== '') deleteCookie(c, cookie.name, earlier(cookie))
    },
    list(c, beginning) {
      const names = Object.keys(getCookie(c)).map((name) =>
        name.startsWith(prefix) ? name.slice(prefix.length) : name,
      )
      return [...new Set(names.filter((name) => name.startsWith(beginning)))]
    },
  }
}

/** `__Host-` wants the whole host; a server that shares it with others gets the prefix that does not. */
function prefixOf(secure: boolean, base: string) {
  if (!secure) return ''
  return base === '/' ? '__Host-' : '__Secure-'
}

const below = (base: string, path: string) => {
  if (base === '/') return path
  return path === '/' ? base : `${base}${path}`
}

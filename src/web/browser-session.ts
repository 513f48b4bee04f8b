/**
 * The session cookie: an iron-session seal around a session's id. The row decides everything else, so a seal is made
 * once, at sign-in, and never again: its lifetime is the row's absolute lifetime.
 */
import { createHash } from 'node:crypto'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { CookieOptions } from 'hono/utils/cookie'
import { sealData, unsealData } from 'iron-session'
import { LRUCache } from 'lru-cache'
import type { AppContext } from './context.ts'

const sessionCookie = 'oauth_session'

export interface SessionCookies {
  /** Seals an id for a lifetime in milliseconds. Fails before any row exists, so a failed seal starts nothing. */
  seal(id: string, lifetimeMs: number): Promise<string>
  /** The id in the request's cookie, if this server sealed it. It may still be of an ended session. */
  open(c: AppContext): Promise<string | undefined>
  /** `lifetimeMs` undefined: until the browser is closed. */
  save(c: AppContext, seal: string, lifetimeMs: number | undefined): void
  clear(c: AppContext): void
}

/** `secrets`: newest first. */
export function createSessionCookies({
  secrets,
  secure,
}: {
  secrets: readonly string[]
  secure: boolean
}): SessionCookies {
  const password = ironPasswords(secrets)
  // A seal is authenticated: equal strings hold equal data, so opening one twice (a millisecond each) is waste.
  const opened = new LRUCache<string, string>({ max: 10_000 })
  const attributes: CookieOptions = { path: '/', httpOnly: true, sameSite: 'Lax', secure }
  return {
    seal: (id, lifetimeMs) =>
      sealData({ id }, { password: password.seal, ttl: Math.ceil(lifetimeMs / 1000) }),
    async open(c) {
      const seal = getCookie(c, sessionCookie)
      if (!seal || seal.length > 1024) return undefined
      const known = opened.get(seal)
      if (known !== undefined) return known
      const { id } = await unsealData<{ id?: unknown }>(seal, { password: password.open })
      if (typeof id !== 'string') return undefined
      opened.set(seal, id)
      return id
    },
    save: (c, seal, lifetimeMs) =>
      setCookie(c, sessionCookie, seal, {
        ...attributes,
        ...(lifetimeMs !== undefined && { maxAge: Math.floor(lifetimeMs / 1000) }),
      }),
    clear: (c) => void deleteCookie(c, sessionCookie, attributes),
  }
}

/**
 * iron-session finds the password of a seal by the number in it. The number is taken from a digest of the secret, not
 * from its place in the list, so that seals survive both the arrival of a newer secret and the departure of an older one.
 */
export function ironPasswords(secrets: readonly string[]) {
  const numbered = secrets.map((secret) => {
    const digest = createHash('sha256').update(`authgate seal number ${secret}`).digest()
    return [String(digest.readUIntBE(0, 6)), secret] as const
  })
  return { seal: Object.fromEntries(numbered.slice(0, 1)), open: Object.fromEntries(numbered) }
}

/**
 * The session cookie: an iron-session seal around a session's id. The row decides everything else, so a seal is made
 * once, at sign-in, and never again: its lifetime is the row's absolute lifetime.
 */
import { createHash } from 'node:crypto'
import { sealData, unsealData } from 'iron-session'
import { LRUCache } from 'lru-cache'
import { deriveKey, hmac, newestOf } from '#/protocol/secrets.ts'
import type { AppContext } from '#/web/request/context.ts'
import type { Cookie, CookieJar } from './cookies.ts'

const sessionCookie: Cookie = { name: 'oauth_session', path: '/', shared: true }

export interface SessionCookies {
  /** A new id; the same one for the same form sent twice, derived with a secret so that the form does not reveal it. */
  newId(form?: { readonly submission: string; readonly userId: string }): string
  /** Seals an id for a lifetime in milliseconds. Fails before any row exists, so a failed seal starts nothing. */
  seal(id: string, lifetimeMs: number): Promise<string>
  /** The id in the request's cookie, if this server sealed it. It may still be of an ended session. */
  open(c: AppContext): Promise<string | undefined>
  /** The id that a replica of an earlier release has sealed, under the name that it knows, if the request brings one. */
  openEarlier(c: AppContext): Promise<string | undefined>
  /** `lifetimeMs` undefined: until the browser is closed. */
  save(c: AppContext, seal: string, lifetimeMs: number | undefined): void
  clear(c: AppContext): void
}

/** `secrets`: newest first. */
export function createSessionCookies({
  secrets,
  jar,
}: {
  secrets: readonly string[]
  jar: CookieJar
}): SessionCookies {
  const password = ironPasswords(secrets)
  const sessionKey = deriveKey(newestOf(secrets), 'session id')
  // A seal is authenticated: equal strings hold equal data, so opening one twice (a millisecond each) is waste.
  const opened = new LRUCache<string, Sealed>({ max: 10_000 })
  async function unseal(seal: string | undefined): Promise<Sealed | undefined> {
    if (!seal || seal.length > 1024) return undefined
    const known = opened.get(seal)
    if (known) return known
    const { id, prefixed } = await unsealData<Partial<Sealed>>(seal, { password: password.open })
    if (typeof id !== 'string') return undefined
    const sealed = { id, prefixed: prefixed === true }
    opened.set(seal, sealed)
    return sealed
  }
  return {
    newId: (form) =>
      form ? uuidOf(hmac(sessionKey, `${form.submission}|${form.userId}`)) : crypto.randomUUID(),
    seal: (id, lifetimeMs) =>
      sealData(jar.prefixed ? { id, prefixed: true } : { id }, {
        password: password.seal,
        ttl: Math.ceil(lifetimeMs / 1000),
      }),
    open: async (c) => (await unseal(jar.read(c, sessionCookie)))?.id,
    async openEarlier(c) {
      const sealed = await unseal(jar.readEarlier(c, sessionCookie))
      return sealed?.prefixed ? undefined : sealed?.id
    },
    save: (c, seal, lifetimeMs) =>
      jar.write(
        c,
        sessionCookie,
        seal,
        lifetimeMs === undefined ? undefined : Math.floor(lifetimeMs / 1000),
      ),
    clear: (c) => jar.clear(c, sessionCookie),
  }
}

/** A UUID of 122 bits of a digest (RFC 9562 §5.8). */
function uuidOf(digest: string): string {
  const bytes = Buffer.from(digest, 'base64url').subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

interface Sealed {
  readonly id: string
  /** Made for a name with a prefix: under the plain name it proves nothing, since anybody may have planted it there. */
  readonly prefixed: boolean
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

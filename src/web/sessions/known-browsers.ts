/**
 * Remembers, in a sealed cookie, which accounts have signed in from a browser. It opens nothing: it only keeps its
 * holder out of the limit that strangers share.
 */
import { sealData, unsealData } from 'iron-session'
import { sha256 } from '#/protocol/secrets.ts'
import type { AppContext } from '#/web/request/context.ts'
import type { Cookie, CookieJar } from './cookies.ts'
import { ironPasswords } from './session-cookies.ts'

export interface KnownBrowsers {
  /** The browser's id, if this account has signed in from it. */
  recognise(c: AppContext, username: string): Promise<string | undefined>
  /** To be called after a sign-in. */
  remember(c: AppContext, username: string): Promise<void>
}

const knownBrowser: Cookie = { name: 'oauth_known_browser', path: '/login', shared: false }
const yearSeconds = 365 * 24 * 60 * 60
const maxAccounts = 8

interface Known {
  readonly id: string
  readonly accounts: readonly string[]
}

export function createKnownBrowsers({
  secrets,
  jar,
}: {
  secrets: readonly string[]
  jar: CookieJar
}): KnownBrowsers {
  const password = ironPasswords(secrets)
  async function read(c: AppContext): Promise<Known | undefined> {
    const seal = jar.read(c, knownBrowser) ?? jar.readEarlier(c, knownBrowser)
    if (!seal || seal.length > 2048) return undefined
    const known = await unsealData<Partial<Known>>(seal, {
      password: password.open,
      ttl: yearSeconds,
    })
    return known.id !== undefined && known.accounts
      ? { id: known.id, accounts: known.accounts }
      : undefined
  }
  return {
    async recognise(c, username) {
      const known = await read(c)
      return known?.accounts.includes(accountMark(username)) ? known.id : undefined
    },
    async remember(c, username) {
      const known = await read(c)
      const mark = accountMark(username)
      if (known?.accounts.includes(mark)) return
      const accounts = [mark, ...(known?.accounts ?? [])].slice(0, maxAccounts)
      const seal = await sealData(
        { id: known?.id ?? crypto.randomUUID(), accounts },
        { password: password.seal, ttl: yearSeconds },
      )
      jar.write(c, knownBrowser, seal, yearSeconds)
    },
  }
}

const accountMark = (username: string) => sha256(`known ${username}`).slice(0, 16)

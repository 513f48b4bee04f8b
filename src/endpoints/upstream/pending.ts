/**
 * Sign-ins under way at a provider: one sealed cookie each, so that two tabs do not disturb each other. What comes back
 * is worth something only to the browser that left, for ten minutes, once.
 */
import { sealData, unsealData } from 'iron-session'
import { z } from 'zod'
import { sha256 } from '#/protocol/secrets.ts'
import { upstreamProviders } from '#/protocol/vocabulary.ts'
import type { AppContext } from '#/web/request/context.ts'
import type { Cookie, CookieJar } from '#/web/sessions/cookies.ts'
import { ironPasswords } from '#/web/sessions/session-cookies.ts'

const pendingShape = z.object({
  provider: z.enum(upstreamProviders),
  state: z.string(),
  verifier: z.string(),
  nonce: z.string(),
  redirect: z.string(),
  remember: z.boolean(),
  /** The session that asked for a link; undefined for a sign-in. */
  linkFor: z.string().optional(),
  /** How long ago the provider may have asked who it is; decided by the request that is waiting, not by the browser. */
  maxAge: z.number().optional(),
  expiresAt: z.number(),
  /** Made for a name with a prefix: under the plain name, which other hosts can plant, it is worth nothing. */
  prefixed: z.boolean().default(false),
})

export type PendingSignIn = z.output<typeof pendingShape>

export interface PendingSignIns {
  keep(c: AppContext, pending: Omit<PendingSignIn, 'expiresAt' | 'prefixed'>): Promise<void>
  /** What this browser left with under this state, unless it is too long ago. */
  find(c: AppContext, state: string): Promise<PendingSignIn | undefined>
  forget(c: AppContext, state: string): void
}

/** When the browser left. */
export const leftAt = ({ expiresAt }: PendingSignIn): number => expiresAt - lifeSeconds * 1000

const lifeSeconds = 600
const prefix = 'oauth_upstream_'
/** More than anybody has open at once; beyond it the request's header would grow too large. */
const maxPending = 5

export function createPendingSignIns({
  secrets,
  jar,
}: {
  secrets: readonly string[]
  jar: CookieJar
}): PendingSignIns {
  const password = ironPasswords(secrets)
  async function open(seal: string | undefined): Promise<PendingSignIn | undefined> {
    if (!seal || seal.length > 4096) return undefined
    const opened = await unsealData(seal, { password: password.open, ttl: lifeSeconds })
    return pendingShape.safeParse(opened).data
  }
  return {
    async keep(c, pending) {
      const expiresAt = c.var.now.getTime() + lifeSeconds * 1000
      const seal = await sealData(
        { ...pending, expiresAt, prefixed: jar.prefixed },
        { password: password.seal, ttl: lifeSeconds },
      )
      const others = jar.list(c, prefix)
      if (others.length >= maxPending) for (const name of others) jar.clear(c, cookieNamed(name))
      jar.write(c, cookieOf(pending.state), seal, lifeSeconds)
    },
    async find(c, state) {
      const cookie = cookieOf(state)
      const earlier = await open(jar.readEarlier(c, cookie))
      const found = (await open(jar.read(c, cookie))) ?? (earlier?.prefixed ? undefined : earlier)
      return found?.state === state && found.expiresAt > c.var.now.getTime() ? found : undefined
    },
    forget: (c, state) => jar.clear(c, cookieOf(state)),
  }
}

const cookieNamed = (name: string): Cookie => ({ name, path: '/auth', shared: true })

const cookieOf = (state: string) =>
  cookieNamed(`${prefix}${sha256(state).replaceAll(/[^\w]/g, '').slice(0, 16)}`)

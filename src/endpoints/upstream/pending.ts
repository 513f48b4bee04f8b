/**
 * Sign-ins under way at a provider: one sealed cookie each, so that two tabs do not disturb each other. What comes back
 * is worth something only to the browser that left, for ten minutes, once.
 */
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { sealData, unsealData } from 'iron-session'
import { z } from 'zod'
import { sha256 } from '#/protocol/secrets.ts'
import { upstreamProviders } from '#/protocol/vocabulary.ts'
import { ironPasswords } from '#/web/browser-session.ts'
import type { AppContext } from '#/web/context.ts'

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
})

export type Pending = z.output<typeof pendingShape>

export interface PendingSignIns {
  keep(c: AppContext, pending: Omit<Pending, 'expiresAt'>): Promise<void>
  /** What this browser left with under this state, unless it is too long ago. */
  find(c: AppContext, state: string): Promise<Pending | undefined>
  forget(c: AppContext, state: string): void
}

/** When the browser left. */
export const leftAt = ({ expiresAt }: Pending): number => expiresAt - lifeSeconds * 1000

const lifeSeconds = 600
const prefix = 'oauth_upstream_'
/** More than anybody has open at once; beyond it the request's header would grow too large. */
const mostPending = 5

export function createPendingSignIns({
  secrets,
  secure,
}: {
  secrets: readonly string[]
  secure: boolean
}): PendingSignIns {
  const password = ironPasswords(secrets)
  const attributes = { path: '/auth', httpOnly: true, sameSite: 'Lax', secure } as const
  return {
    async keep(c, pending) {
      const expiresAt = c.var.now.getTime() + lifeSeconds * 1000
      const seal = await sealData(
        { ...pending, expiresAt },
        { password: password.seal, ttl: lifeSeconds },
      )
      const others = Object.keys(getCookie(c)).filter((name) => name.startsWith(prefix))
      if (others.length >= mostPending) for (const name of others) deleteCookie(c, name, attributes)
      setCookie(c, cookieOf(pending.state), seal, { ...attributes, maxAge: lifeSeconds })
    },
    async find(c, state) {
      const seal = getCookie(c, cookieOf(state))
      if (!seal || seal.length > 4096) return undefined
      const opened = await unsealData(seal, { password: password.open, ttl: lifeSeconds })
      const { data } = pendingShape.safeParse(opened)
      const alive = data?.state === state && data.expiresAt > c.var.now.getTime()
      return alive ? data : undefined
    },
    forget: (c, state) => void deleteCookie(c, cookieOf(state), attributes),
  }
}

const cookieOf = (state: string) =>
  `${prefix}${sha256(state).replaceAll(/[^\w]/g, '').slice(0, 16)}`

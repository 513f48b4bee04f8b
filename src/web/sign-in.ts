/** The one way a browser becomes signed in, whoever vouched for its user: seal, commit, set the cookie, count. */
import type { Database } from '#/database/client.ts'
import { nameBrowser } from '#/domain/sessions/browser.ts'
import { type NewSession, startSession } from '#/domain/sessions/start-session.ts'
import type { SessionCookies } from './browser-session.ts'
import type { AppContext } from './context.ts'
import { recordEndedSessions } from './record-ended.ts'
import { fingerprintOf, type SessionPolicy } from './session-policy.ts'

export interface SignInOptions {
  readonly db: Database
  readonly cookies: SessionCookies
  readonly policy: SessionPolicy
}

interface SigningIn extends Pick<NewSession, 'user' | 'source' | 'identity' | 'authTime'> {
  readonly remember: boolean
}

/** True once the session is started; false when the account changed since its credentials were verified. */
export async function signIn(
  c: AppContext,
  { db, cookies, policy }: SignInOptions,
  { remember, ...who }: SigningIn,
): Promise<boolean> {
  const remembered = remember && policy.rememberMe
  const lifetimeMs = remembered ? policy.rememberedMs : policy.lifetimeMs
  const id = crypto.randomUUID()
  const seal = await cookies.seal(id, lifetimeMs)
  const started = await startSession(
    db,
    {
      id,
      ...who,
      ...nameBrowser(c.req.header('user-agent') ?? ''),
      ip: c.var.address,
      fingerprint: fingerprintOf(c, policy),
      remembered,
      lifetimeMs,
      idleMs: policy.idleMs,
      replaces: c.var.signedIn?.session.id ?? (await cookies.open(c)),
      now: c.var.now,
    },
    c.var.origin,
  )
  if (!started) return false
  cookies.save(c, seal, remembered ? lifetimeMs : undefined)
  recordEndedSessions(c.var.recorder, started.replaced)
  c.var.recorder.sessionStarted()
  return true
}

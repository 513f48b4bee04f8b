/** Starts every session, whatever authenticated the user: seal, commit, set the cookie, count. */
import type { Database } from '#/database/client.ts'
import { nameBrowser } from '#/domain/sessions/browser.ts'
import { type NewSession, startSession } from '#/domain/sign-in/start-session.ts'
import { findWaitingRequest } from '#/web/authorization-request/waiting-request.ts'
import type { AppContext } from '#/web/request/context.ts'
import { recordEndedSessions } from './record-ended.ts'
import type { SessionCookies } from './session-cookies.ts'
import { fingerprintOf, type SessionPolicy } from './session-policy.ts'

export interface SignInOptions {
  readonly db: Database
  readonly cookies: SessionCookies
  readonly policy: SessionPolicy
}

interface SigningIn extends Pick<NewSession, 'user' | 'source' | 'identity' | 'authTime'> {
  readonly remember: boolean
  /** From `signInMoment`. */
  readonly now: Date
  /** What names the form: sent twice, it starts one session. */
  readonly submission?: string | undefined
}

/**
 * When somebody signs in who is to go on at `redirect`. A request that waits there came before, whatever the clock of the
 * replica that has dated it: or its user would be asked to sign in again, and again.
 */
export async function signInMoment(c: AppContext, db: Database, redirect: string): Promise<Date> {
  const { now } = c.var
  const waiting = await findWaitingRequest(db, redirect, now)
  return waiting && waiting.createdAt > now ? waiting.createdAt : now
}

/**
 * 'started' once the session is, 'repeated' when the same form has started it a moment ago; undefined when the account
 * changed since its credentials were verified.
 */
export async function signIn(
  c: AppContext,
  options: SignInOptions,
  signingIn: SigningIn,
): Promise<'started' | 'repeated' | undefined> {
  const { cookies, policy } = options
  const remembered = signingIn.remember && policy.rememberMe
  const lifetimeMs = remembered ? policy.rememberedMs : policy.lifetimeMs
  const { user, submission } = signingIn
  const id = cookies.newId(submission === undefined ? undefined : { submission, userId: user.id })
  const seal = await cookies.seal(id, lifetimeMs)
  const started = await start(c, options, { ...signingIn, id, remembered, lifetimeMs })
  // A form may be kept open, or come back out of the history: what it has started once is over.
  if (started?.outcome === 'taken')
    return signIn(c, options, { ...signingIn, submission: undefined })
  if (!started) return undefined
  c.set('userId', user.id)
  cookies.save(c, seal, remembered ? lifetimeMs : undefined)
  if (started.outcome === 'repeated') return 'repeated'
  recordEndedSessions(c.var.recorder, started.ended)
  c.var.recorder.sessionStarted()
  return 'started'
}

async function start(
  c: AppContext,
  { db, cookies, policy }: SignInOptions,
  {
    remember: _,
    submission: __,
    ...start
  }: SigningIn & Pick<NewSession, 'id' | 'remembered' | 'lifetimeMs'>,
) {
  return startSession(
    db,
    {
      ...start,
      ...nameBrowser(c.req.header('user-agent') ?? ''),
      ip: c.var.address,
      fingerprint: fingerprintOf(c, policy),
      idleMs: policy.idleMs,
      most: policy.most,
      replaces: c.var.signedIn?.session.id ?? (await cookies.open(c)),
    },
    c.var.origin,
  )
}

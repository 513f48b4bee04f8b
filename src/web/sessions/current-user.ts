/**
 * Who is signed in. Both middlewares resolve the cookie in the same way, so a session that may no longer be used ends,
 * and is counted, wherever its cookie turns up: on pages that require a user and on pages that merely greet one.
 */
import type { MiddlewareHandler } from 'hono'
import type { Database } from '#/database/client.ts'
import { endSession } from '#/domain/access-revocation/end-sessions.ts'
import { endWithAudit } from '#/domain/access-revocation/end-with-audit.ts'
import { sessionStatusOf } from '#/domain/sessions/session-state.ts'
import { findSession, touchSession } from '#/domain/sessions/sessions.ts'
import type { SessionEndReason } from '#/protocol/vocabulary.ts'
import { pageOfForm } from '#/web/guards/own-site.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext, AppEnv, SignedIn } from '#/web/request/context.ts'
import { noteRefusedUser } from '#/web/request/note-refusal.ts'
import { recordEndedSessions } from './record-ended.ts'
import type { SessionCookies } from './session-cookies.ts'
import { fingerprintOf, type SessionPolicy } from './session-policy.ts'

export interface SessionAccess {
  /** Sets the signed-in user, if there is one. */
  readonly optionalUser: MiddlewareHandler<AppEnv>
  /** Requires a signed-in user; others go to the sign-in page and return afterwards. */
  readonly requireUser: MiddlewareHandler<AppEnv>
  /** As `requireUser`, for operators alone. */
  readonly requireAdmin: MiddlewareHandler<AppEnv>
}

interface Options {
  readonly db: Database
  readonly cookies: SessionCookies
  readonly policy: SessionPolicy
}

export function createSessionAccess(options: Options): SessionAccess {
  const optionalUser: MiddlewareHandler<AppEnv> = async (c, next) => {
    await resolve(c, options)
    return isHeld(c) ? c.redirect(changePasswordPath(wayBack(c)), 303) : next()
  }
  const requireUser: MiddlewareHandler<AppEnv> = async (c, next) => {
    const ended = await resolve(c, options)
    if (!c.var.signedIn) return c.redirect(loginPath(c, ended), 303)
    return isHeld(c) ? c.redirect(changePasswordPath(wayBack(c)), 303) : next()
  }
  const requireAdmin: MiddlewareHandler<AppEnv> = async (c, next) => {
    const ended = await resolve(c, options)
    if (!c.var.signedIn) return c.redirect(loginPath(c, ended), 303)
    if (isHeld(c)) return c.redirect(changePasswordPath(wayBack(c)), 303)
    if (c.var.signedIn.user.role !== 'admin') {
      noteRefusedUser(c, 'admin_access')
      throw new PageError(
        403,
        'Administrators only',
        'You do not have permission to open this page.',
      )
    }
    return next()
  }
  return { optionalUser, requireUser, requireAdmin }
}

/** The session of a request that has passed `requireUser`. */
export function signedInUser(c: AppContext): SignedIn {
  if (!c.var.signedIn) throw new Error('this route lacks requireUser')
  return c.var.signedIn
}

/** Finds and judges the session; ends it if it may not be used, and then says why. */
async function resolve(
  c: AppContext,
  { db, cookies, policy }: Options,
): Promise<SessionEndReason | undefined> {
  const id = await cookies.open(c)
  const ended = id === undefined ? undefined : await enter(c, id, { db, cookies, policy })
  if (c.var.signedIn) return undefined
  const earlier = await cookies.openEarlier(c)
  const endedToo =
    earlier === undefined ? undefined : await enter(c, earlier, { db, cookies, policy })
  if (c.var.signedIn) await rename(c, c.var.signedIn, cookies)
  // Its successor may be in the browser by now: a form was pressed twice.
  else if ((id !== undefined || earlier !== undefined) && ended !== 'replaced') cookies.clear(c)
  return ended ?? endedToo
}

/** From now on the session is found under the name that it would have been given today. */
async function rename(c: AppContext, { session }: SignedIn, cookies: SessionCookies) {
  const lifetimeMs = session.expiresAt.getTime() - c.var.now.getTime()
  const seal = await cookies.seal(session.id, lifetimeMs)
  cookies.save(c, seal, session.remembered ? lifetimeMs : undefined)
}

/** Uses this session if it may be used; ends it otherwise, and says why. */
async function enter(
  c: AppContext,
  id: string,
  { db, policy }: Options,
): Promise<SessionEndReason | undefined> {
  const found = await findSession(db, id)
  const now = c.var.now
  const judgement = found && sessionStatusOf(found, fingerprintOf(c, policy), now)
  if (found?.user && judgement === 'accepted') {
    c.set('signedIn', { session: found.session, user: found.user })
    await touchSession(db, found.session, { now, ...policy.touch })
    return undefined
  }
  if (found && judgement === 'already_ended' && found.session.endReason === 'replaced')
    return 'replaced'
  if (judgement === undefined || judgement === 'accepted' || judgement === 'already_ended')
    return undefined
  const { origin, recorder } = c.var
  const end = (tx: Database) => endSession(tx, id, { reason: judgement, now })
  const ended = await endWithAudit(db, end, { type: 'SESSION_ENDED', origin, now })
  recordEndedSessions(recorder, ended)
  return ended[0]?.reason
}

/**
 * Whether this session was begun with a password that somebody else has chosen. Who came in by another way may not even
 * know that password.
 */
export const mustChangePassword = ({ session, user }: SignedIn): boolean =>
  user.passwordMustChange && session.loginSource === 'local'

/** Where that page is; it leads on to `back`. */
export const changePasswordPath = (back: string | undefined): string =>
  back === undefined
    ? '/account/password'
    : `/account/password?${new URLSearchParams({ redirect: back })}`

/** Paths that stay open while a new password has to be chosen; /oauth/authorize decides for itself. */
const neverHeld: ReadonlySet<string> = new Set([
  '/account/password',
  '/login',
  '/logout',
  '/oauth/logout',
  '/oauth/logout/answer',
  '/oauth/authorize',
])

const isHeld = (c: AppContext): boolean =>
  c.var.signedIn !== undefined &&
  mustChangePassword(c.var.signedIn) &&
  !neverHeld.has(c.req.path) &&
  !c.req.path.startsWith('/auth/callback/')

/** What was asked for; a form cannot be repeated, so it is its page. */
const wayBack = (c: AppContext): string | undefined =>
  c.req.method === 'GET' ? c.req.path + new URL(c.req.url).search : pageOfForm(c)

/** The sign-in page, which leads back. */
function loginPath(c: AppContext, ended: SessionEndReason | undefined): string {
  const query = new URLSearchParams()
  const back = wayBack(c)
  if (back !== undefined) query.set('redirect', back)
  if (ended === 'timeout' || ended === 'idle_timeout') query.set('error', 'session_timeout')
  else if (ended !== undefined && ended !== 'replaced') query.set('error', 'session_invalid')
  return query.size > 0 ? `/login?${query}` : '/login'
}

/** Who changes something by this request, from where, and when. */
export const actedBy = (c: AppContext) => ({
  actor: signedInUser(c).user,
  origin: c.var.origin,
  now: c.var.now,
})

/** /account/security: changing one's own password. All other sessions and all tokens end with the old one. */

import { changePassword } from '#/domain/access-revocation/end-users.ts'
import { listFailedSignIns } from '#/domain/audit/failed-sign-ins.ts'
import { listIdentities } from '#/domain/identities/identities.ts'
import { findPasswordProblem, passwordProblems } from '#/domain/users/password-rules.ts'
import { enforceLimit } from '#/web/limits/rate-limit.ts'
import { noticeOf } from '#/web/pages/notices.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { noteRefusal } from '#/web/request/note-refusal.ts'
import { actedBy, signedInUser } from '#/web/sessions/current-user.ts'
import { recordEndedAccess, recordEndedSessions } from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AccountOptions } from './options.ts'
import { renderSecurityPage } from './pages.ts'

export interface PasswordErrors {
  readonly current?: string
  readonly new?: string
}

const notices: Readonly<Record<string, string>> = {
  password_changed: 'Your password has been changed. All other devices have been signed out.',
  linked: 'Account linked. You can now sign in with it.',
  unlinked: 'The link has been removed. Other devices that signed in with it have been signed out.',
  last_way_in: 'The link was not removed: it is your only way to sign in.',
}

export function getSecurity(c: AppContext, options: AccountOptions) {
  const notice = noticeOf(c, notices)
  return securityPage(c, options, { ...(notice && { notice }) })
}

export async function postPassword(c: AppContext, options: AccountOptions) {
  const errors = await changeOwnPassword(c, options)
  if (!errors) return c.redirect('/account/security?notice=password_changed', 303)
  c.status(400)
  return securityPage(c, options, { errors })
}

/** Changes the password as the form asks, and renews the session; answers what is wrong with the form otherwise. */
export async function changeOwnPassword(
  c: AppContext,
  options: AccountOptions,
): Promise<PasswordErrors | undefined> {
  const { db, issuer, passwords, passwordLimiter } = options
  const { user } = signedInUser(c)
  const form = await readForm(c)
  const [current = '', chosen = ''] = [form.get('current_password'), form.get('new_password')]
  const weak = await findPasswordProblem(chosen, { ...user, issuer })
  if (weak) return { new: passwordProblems[weak] }
  if (chosen !== form.get('new_password_again')) return { new: 'The new passwords do not match.' }
  const lane = { address: user.id, network: user.id, known: true }
  const spent = await enforceLimit(c, db, passwordLimiter, user.id)
  if (!(await passwords.verify(user.passwordHash, current, lane))) {
    // Audited: this may be a stolen session guessing the password.
    noteRefusal(c.var, 'current_password', { actor: user, details: { endpoint: c.req.path } })
    return { current: 'The current password is incorrect.' }
  }
  spent.refund()
  if (chosen === current) return { new: 'This is already your password. Choose another one.' }
  return (await commit(c, options, await passwords.hash(chosen, lane)))
    ? undefined
    : { current: 'Your password has just been changed in another session.' }
}

/** Seals before the commit, so that a failure changes nothing; sets the cookie and counts after it. */
async function commit(c: AppContext, { db, cookies }: AccountOptions, passwordHash: string) {
  const { user, session } = signedInUser(c)
  const { now, recorder } = c.var
  const renew = { from: session.id, to: cookies.newId() }
  const lifetimeMs = session.expiresAt.getTime() - now.getTime()
  const seal = await cookies.seal(renew.to, lifetimeMs)
  const change = { id: user.id, passwordHash, verified: user.passwordHash, renew }
  const ended = await changePassword(db, change, actedBy(c))
  if (ended.result === 'no_change') return false
  if (ended.renewed) {
    cookies.save(c, seal, session.remembered ? lifetimeMs : undefined)
    recorder.sessionStarted()
  }
  recordEndedSessions(recorder, ended.sessions)
  recordEndedAccess(recorder, ended, 'user')
  return true
}

async function securityPage(
  c: AppContext,
  { db, csrf, providers }: AccountOptions,
  more: { errors?: PasswordErrors; notice?: string },
) {
  const { user } = signedInUser(c)
  const passwordChangeable = user.authSource === 'local'
  const identities = await listIdentities(db, user.id)
  const failures = await listFailedSignIns(db, user.id, c.var.now)
  return c.html(
    await renderSecurityPage({
      user: viewer(c),
      csrfToken: csrf.token(c),
      passwordChangeable,
      links: { providers, identities },
      failures,
      now: c.var.now,
      ...more,
    }),
  )
}

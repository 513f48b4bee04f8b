/** /account/security: changing one's own password. All other sessions and all tokens end with the old one. */
import { writeAudit } from '#/domain/audit/audit.ts'
import { listFailedSignIns } from '#/domain/audit/failed-sign-ins.ts'
import { listIdentities } from '#/domain/identities/identities.ts'
import { changePassword } from '#/domain/users/end-access.ts'
import { isAcceptablePassword } from '#/domain/users/passwords.ts'
import type { AppContext } from '#/web/context.ts'
import { signedInUser } from '#/web/current-user.ts'
import { readForm } from '#/web/forms.ts'
import { noticeOf } from '#/web/notices.ts'
import { enforceLimit } from '#/web/rate-limit.ts'
import { recordEndedAccess, recordEndedSessions } from '#/web/record-ended.ts'
import { viewer } from '#/web/viewer.ts'
import { renderSecurityPage } from './pages.ts'
import type { AccountOptions } from './routes.ts'

interface Errors {
  readonly current?: string
  readonly new?: string
}

const notices: Readonly<Record<string, string>> = {
  password_changed: 'Your password has been changed. All other devices have been signed out.',
  linked: 'Linked. You can now sign in that way too.',
  unlinked:
    'The link has been removed. Other devices that were signed in through it are signed out.',
  last_way_in: 'Nothing was removed: it is the only way to sign in to your account.',
}

export function getSecurity(c: AppContext, options: AccountOptions) {
  const notice = noticeOf(c, notices)
  return securityPage(c, options, { ...(notice && { notice }) })
}

export async function postPassword(c: AppContext, options: AccountOptions) {
  const { db, passwords, passwordLimiter } = options
  const { user, session } = signedInUser(c)
  const form = await readForm(c)
  const chosen = form.get('new_password') ?? ''
  const refuse = (errors: Errors) => {
    c.status(400)
    return securityPage(c, options, { errors })
  }
  if (!isAcceptablePassword(chosen)) return refuse({ new: 'Use between 8 and 1024 characters.' })
  if (chosen !== form.get('new_password_again'))
    return refuse({ new: 'The two new passwords differ.' })
  const lane = { address: user.id, network: user.id, known: true }
  const spent = await enforceLimit(c, db, passwordLimiter, user.id)
  if (!(await passwords.verify(user.passwordHash, form.get('current_password') ?? '', lane))) {
    await auditWrongPassword(c, db)
    return refuse({ current: 'That is not your current password.' })
  }
  spent.refund()
  const ended = await changePassword(
    db,
    {
      id: user.id,
      passwordHash: await passwords.hash(chosen, lane),
      verified: user.passwordHash,
      keepSession: session.id,
    },
    { actor: user, origin: c.var.origin, now: c.var.now },
  )
  if (ended === 'no_change')
    return refuse({ current: 'Your password was changed elsewhere a moment ago.' })
  recordEndedSessions(c.var.recorder, ended.sessions)
  recordEndedAccess(c.var.recorder, ended, 'user')
  return c.redirect('/account/security?notice=password_changed', 303)
}

/** Whoever holds a stolen session does not hold the password. */
const auditWrongPassword = (c: AppContext, db: AccountOptions['db']) =>
  writeAudit(db, c.var.origin, {
    type: 'AUTHENTICATION_FAILURE',
    at: c.var.now,
    success: false,
    actor: signedInUser(c).user,
    details: { reason: 'wrong_password', endpoint: '/account/security/password' },
  })

async function securityPage(
  c: AppContext,
  { db, csrf, providers }: AccountOptions,
  more: { errors?: Errors; notice?: string },
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

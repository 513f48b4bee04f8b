/** /account/security: changing one's own password. All other sessions and all tokens end with the old one. */
import { changePassword } from '#/domain/users/end-access.ts'
import { isAcceptablePassword } from '#/domain/users/passwords.ts'
import type { AppContext } from '#/web/context.ts'
import { signedInUser } from '#/web/current-user.ts'
import { readForm } from '#/web/forms.ts'
import { enforceLimit } from '#/web/rate-limit.ts'
import { recordEndedSessions, recordRevokedTokens } from '#/web/record-ended.ts'
import { viewer } from '#/web/viewer.ts'
import { renderSecurityPage } from './pages.ts'
import type { AccountOptions } from './routes.ts'

interface Errors {
  readonly current?: string
  readonly new?: string
}

export function getSecurity(c: AppContext, options: AccountOptions) {
  const changed = c.req.query('notice') === 'password_changed'
  return securityPage(c, options, {
    ...(changed && {
      notice: 'Your password has been changed. All other devices have been signed out.',
    }),
  })
}

export async function postPassword(c: AppContext, options: AccountOptions) {
  const { db, passwords, passwordLimiter } = options
  const { user, session } = signedInUser(c)
  await enforceLimit(c, db, passwordLimiter, user.id)
  const form = await readForm(c)
  const chosen = form.get('new_password') ?? ''
  const refuse = (errors: Errors) => {
    c.status(400)
    return securityPage(c, options, { errors })
  }
  if (!isAcceptablePassword(chosen)) return refuse({ new: 'Use between 8 and 1024 characters.' })
  if (chosen !== form.get('new_password_again'))
    return refuse({ new: 'The two new passwords differ.' })
  if (!(await passwords.verify(user.passwordHash, form.get('current_password') ?? ''))) {
    return refuse({ current: 'That is not your current password.' })
  }
  const ended = await changePassword(
    db,
    {
      id: user.id,
      passwordHash: await passwords.hash(chosen),
      verified: user.passwordHash,
      keepSession: session.id,
    },
    { actor: user, origin: c.var.origin, now: c.var.now },
  )
  if (ended === 'no_change')
    return refuse({ current: 'Your password was changed elsewhere a moment ago.' })
  recordEndedSessions(c.var.recorder, ended.sessions)
  recordRevokedTokens(c.var.recorder, ended.tokens)
  c.var.recorder.deviceCodesEnded('denied', ended.deviceCodes)
  return c.redirect('/account/security?notice=password_changed', 303)
}

async function securityPage(
  c: AppContext,
  { csrf }: AccountOptions,
  more: { errors?: Errors; notice?: string },
) {
  const passwordChangeable = signedInUser(c).user.authSource === 'local'
  return c.html(
    await renderSecurityPage({
      user: viewer(c),
      csrfToken: csrf.token(c),
      passwordChangeable,
      ...more,
    }),
  )
}

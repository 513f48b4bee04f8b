/** /account/devices: a user's active sessions, and ending them. */

import { endOwnSession, endSessionsOfUser } from '#/domain/access-revocation/end-sessions.ts'
import { listLiveSessions } from '#/domain/sessions/sessions.ts'
import { noticeOf } from '#/web/pages/notices.ts'
import type { AppContext } from '#/web/request/context.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { signedInUser } from '#/web/sessions/current-user.ts'
import { endSessionsFromAfar } from '#/web/sessions/end-sessions.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AccountOptions } from './options.ts'
import { renderDevicesPage } from './pages.ts'

const path = '/account/devices'

const notices: Readonly<Record<string, string>> = {
  ended: 'That device has been signed out.',
  others_ended: 'All other devices have been signed out.',
}

export async function getDevices(c: AppContext, { db, csrf }: AccountOptions) {
  const { session, user } = signedInUser(c)
  const live = await listLiveSessions(db, user.id, c.var.now)
  const notice = noticeOf(c, notices)
  const page = await renderDevicesPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    sessions: live.map((row) => ({ ...row, current: row.id === session.id })),
    ...(notice && { notice }),
  })
  return c.html(page)
}

/** Ends one of the user's own sessions, the current one included. Other users' ids are treated as unknown. */
export async function postRevokeDevice(c: AppContext, options: AccountOptions) {
  const { session, user } = signedInUser(c)
  const id = uuidParameter(c, 'id')
  const end = { reason: 'revoked', now: c.var.now } as const
  const ended = await endSessionsFromAfar(c, options.db, async (tx) =>
    id === undefined ? [] : endOwnSession(tx, { userId: user.id, id }, end),
  )
  if (id === session.id) {
    options.cookies.clear(c)
    return c.redirect('/login', 303)
  }
  return c.redirect(ended.length > 0 ? `${path}?notice=ended` : path, 303)
}

/** Ends all sessions of the user but this one. */
export async function postRevokeOtherDevices(c: AppContext, { db }: AccountOptions) {
  const { session, user } = signedInUser(c)
  const end = { reason: 'revoked', now: c.var.now, except: session.id } as const
  await endSessionsFromAfar(c, db, (tx) => endSessionsOfUser(tx, user.id, end))
  return c.redirect(`${path}?notice=others_ended`, 303)
}

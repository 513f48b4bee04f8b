/** /admin/users: users, and what each of them holds. */
import { Hono } from 'hono'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import type { AdminOptions } from '../options.ts'
import {
  getUsers,
  postOutdatedUser,
  postUser,
  postUserDelete,
  postUserDisable,
  postUserEnable,
  postUserPassword,
} from './actions.ts'
import {
  getEdit,
  getPerson,
  postEdit,
  postEndFamily,
  postEndSession,
  postEndSessions,
  postOutdatedEdit,
  postRemoveConnection,
  postRevokeConsent,
} from './person.ts'

export function userRoutes(options: AdminOptions): Hono<AppEnv> {
  const { requireAdmin } = options.sessions
  const { csrf } = options
  const newAgain = (c: AppContext) => postOutdatedUser(c, options)
  const editAgain = (c: AppContext) => postOutdatedEdit(c, options)
  return new Hono<AppEnv>()
    .get('/admin/users', requireAdmin, (c) => getUsers(c, options))
    .post('/admin/users', requireAdmin, csrf.requireOr(newAgain), (c) => postUser(c, options))
    .post('/admin/users/:id/disable', requireAdmin, csrf.require, (c) =>
      postUserDisable(c, options),
    )
    .post('/admin/users/:id/enable', requireAdmin, csrf.require, (c) => postUserEnable(c, options))
    .post('/admin/users/:id/delete', requireAdmin, csrf.require, (c) => postUserDelete(c, options))
    .post('/admin/users/:id/reset-password', requireAdmin, csrf.require, (c) =>
      postUserPassword(c, options),
    )
    .get('/admin/users/:id', requireAdmin, (c) => getPerson(c, options))
    .get('/admin/users/:id/edit', requireAdmin, (c) => getEdit(c, options))
    .post('/admin/users/:id', requireAdmin, csrf.requireOr(editAgain), (c) => postEdit(c, options))
    .post('/admin/users/:id/sessions/revoke-all', requireAdmin, csrf.require, (c) =>
      postEndSessions(c, options),
    )
    .post('/admin/users/:id/sessions/:sessionId/revoke', requireAdmin, csrf.require, (c) =>
      postEndSession(c, options),
    )
    .post('/admin/users/:id/authorizations/:consentId/revoke', requireAdmin, csrf.require, (c) =>
      postRevokeConsent(c, options),
    )
    .post('/admin/users/:id/tokens/:familyId/revoke', requireAdmin, csrf.require, (c) =>
      postEndFamily(c, options),
    )
    .post('/admin/users/:id/connections/:identityId/remove', requireAdmin, csrf.require, (c) =>
      postRemoveConnection(c, options),
    )
}

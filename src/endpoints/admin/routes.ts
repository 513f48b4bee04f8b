/** Operator pages: accounts and clients. */
import { Hono } from 'hono'
import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import type { Passwords } from '#/domain/users/passwords.ts'
import type { AppEnv } from '#/web/context.ts'
import type { Csrf } from '#/web/csrf.ts'
import type { SessionAccess } from '#/web/current-user.ts'
import { createClientParser } from './client-fields.ts'
import { getClients, postClient, postClientDecision, postClientSecret } from './clients.ts'
import {
  getUsers,
  postUser,
  postUserDelete,
  postUserDisable,
  postUserEnable,
  postUserPassword,
} from './users.ts'

export interface AdminOptions {
  readonly db: Database
  readonly clients: ReadCache<Client>
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly passwords: Passwords
  readonly fetchDocument: FetchDocument
  /** Whether addresses of clients may be plain http on this machine. */
  readonly loopbackHttp: boolean
}

export function adminRoutes(options: AdminOptions): Hono<AppEnv> {
  const { requireAdmin } = options.sessions
  const { csrf } = options
  const parseClient = createClientParser(options)
  return new Hono<AppEnv>()
    .get('/admin', requireAdmin, (c) => c.redirect('/admin/users', 303))
    .get('/admin/users', requireAdmin, (c) => getUsers(c, options))
    .post('/admin/users', requireAdmin, csrf.require, (c) => postUser(c, options))
    .post('/admin/users/:id/disable', requireAdmin, csrf.require, (c) =>
      postUserDisable(c, options),
    )
    .post('/admin/users/:id/enable', requireAdmin, csrf.require, (c) => postUserEnable(c, options))
    .post('/admin/users/:id/delete', requireAdmin, csrf.require, (c) => postUserDelete(c, options))
    .post('/admin/users/:id/reset-password', requireAdmin, csrf.require, (c) =>
      postUserPassword(c, options),
    )
    .get('/admin/clients', requireAdmin, (c) => getClients(c, options))
    .post('/admin/clients', requireAdmin, csrf.require, (c) => postClient(c, options, parseClient))
    .post('/admin/clients/:id/approve', requireAdmin, csrf.require, (c) =>
      postClientDecision(c, options, 'approved'),
    )
    .post('/admin/clients/:id/reject', requireAdmin, csrf.require, (c) =>
      postClientDecision(c, options, 'rejected'),
    )
    .post('/admin/clients/:id/enable', requireAdmin, csrf.require, (c) =>
      postClientDecision(c, options, 'enabled'),
    )
    .post('/admin/clients/:id/disable', requireAdmin, csrf.require, (c) =>
      postClientDecision(c, options, 'disabled'),
    )
    .post('/admin/clients/:id/regenerate-secret', requireAdmin, csrf.require, (c) =>
      postClientSecret(c, options),
    )
}

/** /admin/clients: the applications that people can sign in to. */
import { Hono } from 'hono'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import type { AdminOptions } from '../options.ts'
import {
  getClientEdit,
  getClients,
  postClient,
  postClientDecision,
  postClientDelete,
  postClientEdit,
  postClientRevokeAll,
  postClientSecret,
  postOutdatedClient,
  postOutdatedClientEdit,
} from './actions.ts'
import { createClientParser } from './fields.ts'
import { getClient, getConsents, postRevokeConsent } from './one-client.ts'

export function clientRoutes(options: AdminOptions): Hono<AppEnv> {
  const { requireAdmin } = options.sessions
  const { csrf } = options
  const newAgain = (c: AppContext) => postOutdatedClient(c, options)
  const editAgain = (c: AppContext) => postOutdatedClientEdit(c, options)
  const parseClient = createClientParser(options)
  return new Hono<AppEnv>()
    .get('/admin/clients', requireAdmin, (c) => getClients(c, options))
    .post('/admin/clients', requireAdmin, csrf.requireOr(newAgain), (c) =>
      postClient(c, options, parseClient),
    )
    .get('/admin/clients/:id', requireAdmin, (c) => getClient(c, options))
    .get('/admin/clients/:id/authorizations', requireAdmin, (c) => getConsents(c, options))
    .post('/admin/clients/:id/authorizations/:consentId/revoke', requireAdmin, csrf.require, (c) =>
      postRevokeConsent(c, options),
    )
    .get('/admin/clients/:id/edit', requireAdmin, (c) => getClientEdit(c, options))
    .post('/admin/clients/:id', requireAdmin, csrf.requireOr(editAgain), (c) =>
      postClientEdit(c, options, parseClient),
    )
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
    .post('/admin/clients/:id/delete', requireAdmin, csrf.require, (c) =>
      postClientDelete(c, options),
    )
    .post('/admin/clients/:id/revoke-all', requireAdmin, csrf.require, (c) =>
      postClientRevokeAll(c, options),
    )
    .post('/admin/clients/:id/regenerate-secret', requireAdmin, csrf.require, (c) =>
      postClientSecret(c, options),
    )
}

/** /admin/audit: search and export of the audit log. */
import { Hono } from 'hono'
import type { AppEnv } from '#/web/request/context.ts'
import type { AdminOptions } from '../options.ts'
import { getAudit, getAuditApi, getAuditExport, getAuditStats } from './actions.ts'

export function auditRoutes(options: AdminOptions): Hono<AppEnv> {
  const { requireAdmin } = options.sessions
  return new Hono<AppEnv>()
    .get('/admin/audit', requireAdmin, (c) => getAudit(c, options))
    .get('/admin/audit/export', requireAdmin, (c) => getAuditExport(c, options))
    .get('/admin/audit/api', requireAdmin, (c) => getAuditApi(c, options))
    .get('/admin/audit/api/stats', requireAdmin, (c) => getAuditStats(c, options))
}

/** Operator pages. */
import { Hono } from 'hono'
import type { AppEnv } from '#/web/context.ts'
import { auditRoutes } from './audit/routes.ts'
import { clientRoutes } from './clients/routes.ts'
import type { AdminOptions } from './options.ts'
import { userRoutes } from './users/routes.ts'

export function adminRoutes(options: AdminOptions): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get('/admin', options.sessions.requireAdmin, (c) => c.redirect('/admin/users', 303))
    .route('/', userRoutes(options))
    .route('/', clientRoutes(options))
    .route('/', auditRoutes(options))
}

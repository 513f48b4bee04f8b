/** Operator pages. */
import { Hono } from 'hono'
import type { AppEnv } from '#/web/request/context.ts'
import { auditRoutes } from './audit/routes.ts'
import { clientRoutes } from './clients/routes.ts'
import type { AdminOptions } from './options.ts'
import { overviewRoutes } from './overview/routes.ts'
import { tokenAdminRoutes } from './tokens/routes.ts'
import { userRoutes } from './users/routes.ts'

export function adminRoutes(options: AdminOptions): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .route('/', overviewRoutes(options))
    .route('/', userRoutes(options))
    .route('/', clientRoutes(options))
    .route('/', tokenAdminRoutes(options))
    .route('/', auditRoutes(options))
}

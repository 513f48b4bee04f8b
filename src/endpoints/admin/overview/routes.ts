/** /admin: counts and recent activity. */
import { Hono } from 'hono'
import { auditEventsQuery } from '#/domain/audit/find-events.ts'
import type { EntityCounts } from '#/domain/entity-counts/caches.ts'
import { userAuthSources } from '#/protocol/vocabulary.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AdminOptions } from '../options.ts'
import { type Count, renderOverviewPage } from './pages.ts'

const lastEvents = 10

export const overviewRoutes = (options: AdminOptions): Hono<AppEnv> =>
  new Hono<AppEnv>().get('/admin', options.sessions.requireAdmin, (c) => getOverview(c, options))

async function getOverview(c: AppContext, { db, csrf, entityCounts }: AdminOptions) {
  const [counts, events] = await Promise.all([
    countsOf(entityCounts),
    auditEventsQuery(db, {}, { limit: lastEvents }),
  ])
  const page = await renderOverviewPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    ...counts,
    events,
  })
  return c.html(page)
}

/** The cached counts behind the gauges, so that a page never counts by itself. */
async function countsOf(entityCounts: EntityCounts) {
  const [users, clients, sessions, tokens, consents] = await Promise.all([
    entityCounts.users.get(),
    entityCounts.clients.get(),
    entityCounts.sessions.get(),
    entityCounts.tokens.get(),
    entityCounts.consents.get(),
  ])
  const active =
    users && userAuthSources.reduce((sum, source) => sum + users.value.active[source], 0)
  const counts: Count[] = [
    { what: 'Users', n: users?.value.registered, href: '/admin/users' },
    { what: 'Disabled users', n: users && users.value.registered - (active ?? 0) },
    { what: 'Active sessions', n: sessions?.value },
    { what: 'Active clients', n: clients?.value.active, href: '/admin/clients' },
    {
      what: 'Pending approval',
      n: clients?.value.pending,
      href: '/admin/clients?status=pending',
    },
    { what: 'Active consents', n: consents?.value },
    { what: 'Active access tokens', n: tokens?.value.access, href: '/admin/tokens?type=access' },
    { what: 'Active refresh tokens', n: tokens?.value.refresh, href: '/admin/tokens?type=refresh' },
  ]
  const ages = [users, clients, sessions, tokens, consents].map((group) => group?.ageSeconds ?? 0)
  return { counts, ageSeconds: Math.max(...ages) }
}

/** /apps: what signed-in users register themselves, for an operator to approve. */
import { Hono } from 'hono'
import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { Limiter } from '#/web/limits/rate-limit.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'
import {
  getApp,
  getAppEdit,
  getApps,
  getNewApp,
  postApp,
  postAppDelete,
  postAppEdit,
  postAppSecret,
  postOutdatedApp,
  postOutdatedAppEdit,
} from './actions.ts'
import { createAppParser } from './request.ts'

export interface AppsOptions {
  readonly db: Database
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly clients: ReadCache<Client>
  readonly fetchDocument: FetchDocument
  readonly loopbackHttp: boolean
  /** Whether PKCE is asked of new clients. */
  readonly requirePkce: boolean
  readonly privateUseSchemes: readonly string[]
  /** For new apps, by user. */
  readonly limiter: Limiter | undefined
}

export function appRoutes(options: AppsOptions): Hono<AppEnv> {
  const { requireUser } = options.sessions
  const { csrf } = options
  const parse = createAppParser(options)
  const newAgain = (c: AppContext) => postOutdatedApp(c, options)
  const editAgain = (c: AppContext) => postOutdatedAppEdit(c, options)
  return new Hono<AppEnv>()
    .get('/apps', requireUser, (c) => getApps(c, options))
    .get('/apps/new', requireUser, (c) => getNewApp(c, options))
    .post('/apps', requireUser, csrf.requireOr(newAgain), (c) => postApp(c, options, parse))
    .get('/apps/:id', requireUser, (c) => getApp(c, options))
    .get('/apps/:id/edit', requireUser, (c) => getAppEdit(c, options))
    .post('/apps/:id', requireUser, csrf.requireOr(editAgain), (c) =>
      postAppEdit(c, options, parse),
    )
    .post('/apps/:id/regenerate-secret', requireUser, csrf.require, (c) =>
      postAppSecret(c, options),
    )
    .post('/apps/:id/delete', requireUser, csrf.require, (c) => postAppDelete(c, options))
}

/** /apps: what signed-in users register themselves, for an operator to approve. */
import { Hono } from 'hono'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
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
import type { AppsOptions } from './options.ts'
import { createAppParser } from './request.ts'

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

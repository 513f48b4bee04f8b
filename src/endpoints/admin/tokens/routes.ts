/** /admin/tokens: active tokens, and revoking them. */
import { Hono } from 'hono'
import { endTokenFamily } from '#/domain/tokens/end-family.ts'
import { liveTokensQuery } from '#/domain/tokens/list-live-tokens.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { actedBy } from '#/web/sessions/current-user.ts'
import { recordRevokedTokens } from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AdminOptions } from '../options.ts'
import { readTokenFilter, sentFilter, type TokenFilterInput } from './filter.ts'
import { renderTokensPage } from './pages.ts'

const path = '/admin/tokens'
const pageSize = 50

export function tokenAdminRoutes(options: AdminOptions): Hono<AppEnv> {
  const { requireAdmin } = options.sessions
  return new Hono<AppEnv>()
    .get('/admin/tokens', requireAdmin, (c) => getTokens(c, options))
    .post('/admin/tokens/:id/revoke', requireAdmin, options.csrf.require, (c) =>
      postRevoke(c, options),
    )
}

async function getTokens(c: AppContext, { db, csrf }: AdminOptions) {
  const sent = sentFilter(c)
  const question = await readTokenFilter(c, db)
  const problem = 'problem' in question ? question.problem : undefined
  const { tokens, next } =
    'problem' in question ? { tokens: [], next: undefined } : await findPage(c, db, question)
  const page = await renderTokensPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    sent,
    tokens,
    ...(next && { next: `${path}?${new URLSearchParams({ ...sent, after: next })}` }),
    ...(problem && { problem }),
    ...(c.req.query('notice') === 'ended' && {
      notice: 'The tokens have been revoked, with all others from the same authorization.',
    }),
  })
  return c.html(page, problem ? 400 : 200)
}

async function findPage(
  c: AppContext,
  db: AdminOptions['db'],
  { filter, after }: TokenFilterInput,
) {
  const found = await liveTokensQuery(db, filter, { now: c.var.now, after, limit: pageSize + 1 })
  const tokens = found.slice(0, pageSize)
  const last = found.length > pageSize ? tokens.at(-1) : undefined
  return { tokens, next: last && `${last.exactly}_${last.id}` }
}

/** Ends the family of a token. A second time changes nothing. */
async function postRevoke(c: AppContext, { db }: AdminOptions) {
  const familyId = uuidParameter(c, 'id')
  const revoked = familyId && (await endTokenFamily(db, { familyId }, actedBy(c)))
  if (!revoked) return c.redirect(path, 303)
  recordRevokedTokens(c.var.recorder, revoked)
  return c.redirect(`${path}?notice=ended`, 303)
}

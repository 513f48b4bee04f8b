/** /account/tokens: the apps that hold live tokens, and cutting one off. */

import { endAllTokens } from '#/domain/access-revocation/end-users.ts'
import { endTokenFamily } from '#/domain/tokens/end-family.ts'
import { listTokenFamilies } from '#/domain/tokens/list-token-families.ts'
import { noticeOf } from '#/web/pages/notices.ts'
import { describeScopes } from '#/web/pages/scope-descriptions.ts'
import type { AppContext } from '#/web/request/context.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { actedBy, signedInUser } from '#/web/sessions/current-user.ts'
import { recordEndedAccess, recordRevokedTokens } from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AccountOptions } from './options.ts'
import { renderTokensPage } from './pages.ts'

const path = '/account/tokens'

const notices: Readonly<Record<string, string>> = {
  ended: 'The app has been disconnected.',
  all_ended: 'All apps have been disconnected.',
}

export async function getTokens(c: AppContext, { db, csrf }: AccountOptions) {
  const notice = noticeOf(c, notices)
  const families = await listTokenFamilies(db, signedInUser(c).user.id, c.var.now)
  const page = await renderTokensPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    grants: families.map(({ scope, ...family }) => ({ ...family, scopes: describeScopes(scope) })),
    ...(notice && { notice }),
  })
  return c.html(page)
}

/** Revokes one token family; the consent stays. Other users' ids are treated as unknown, and a repeated request changes nothing. */
export async function postRevokeTokens(c: AppContext, { db }: AccountOptions) {
  const familyId = uuidParameter(c, 'id')
  const { user } = signedInUser(c)
  const revoked = familyId && (await endTokenFamily(db, { familyId, userId: user.id }, actedBy(c)))
  if (!revoked) return c.redirect(path, 303)
  recordRevokedTokens(c.var.recorder, revoked)
  return c.redirect(`${path}?notice=ended`, 303)
}

/** Ends the tokens of every app, and codes that were about to become tokens; consents stay. */
export async function postRevokeAllTokens(c: AppContext, { db }: AccountOptions) {
  recordEndedAccess(c.var.recorder, await endAllTokens(db, actedBy(c)), 'user')
  return c.redirect(`${path}?notice=all_ended`, 303)
}

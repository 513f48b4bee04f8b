/** /account/authorizations: the apps with access, and revoking it. */

import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import { describeScopes } from '#/web/pages/scope-descriptions.ts'
import type { AppContext } from '#/web/request/context.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { signedInUser } from '#/web/sessions/current-user.ts'
import { recordEndedAccess } from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AccountOptions } from './options.ts'
import { renderAuthorizationsPage } from './pages.ts'

const path = '/account/authorizations'

export async function getAuthorizations(c: AppContext, { db, csrf }: AccountOptions) {
  const consents = await listConsents(db, signedInUser(c).user.id)
  const page = await renderAuthorizationsPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    consents: consents.map(({ scope, clientUri, lastUsedAt, ...consent }) => ({
      ...consent,
      scopes: describeScopes(scope),
      ...(clientUri !== null && { clientUri }),
      ...(lastUsedAt !== null && { lastUsedAt }),
    })),
    ...(c.req.query('success') === 'revoked' && { notice: 'The app’s access has been revoked.' }),
  })
  return c.html(page)
}

/** Revokes the consent, and the app's tokens in the same transaction. A repeated request changes nothing. */
export async function postRevokeConsent(c: AppContext, { db }: AccountOptions) {
  const { user } = signedInUser(c)
  const id = uuidParameter(c, 'id')
  const revoked =
    id === undefined
      ? undefined
      : await revokeConsent(db, { id, user, now: c.var.now }, c.var.origin)
  if (!revoked) return c.redirect(path, 303)
  recordEndedAccess(c.var.recorder, { ...revoked, consents: 1 }, 'user')
  return c.redirect(`${path}?success=revoked`, 303)
}

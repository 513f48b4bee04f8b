/** One client: what it is and holds, and who has let it in. */

import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { consentsOfClientQuery, findConsentUser } from '#/domain/consents/consents-of-client.ts'
import { countAccess } from '#/domain/entity-counts/count-access.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext } from '#/web/request/context.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { actedBy } from '#/web/sessions/current-user.ts'
import { recordEndedAccess } from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import { cursorByUuid } from '../cursor.ts'
import type { AdminOptions } from '../options.ts'
import { clientNotices, listed, requireClientOfPath } from './actions.ts'
import { withNameNotes } from './name-notes.ts'
import { renderClientPage, renderConsentsPage } from './one-client-pages.ts'

const pageSize = 50

const frame = (c: AppContext, { csrf }: AdminOptions) => ({
  user: viewer(c),
  csrfToken: csrf.token(c),
  now: c.var.now,
})

export async function getClient(c: AppContext, options: AdminOptions) {
  const client = await requireClientOfPath(c, options)
  const held = await countAccess(options.db, client.clientId, c.var.now)
  const { ownerId } = client
  const [shown] = await withNameNotes(options.db, [listed(client)])
  const page = {
    ...frame(c, options),
    ...clientNotices(c),
    client: shown ?? listed(client),
    ownerId,
    held,
  }
  return c.html(await renderClientPage(page))
}

export async function getConsents(c: AppContext, options: AdminOptions) {
  const { clientId, name } = await requireClientOfPath(c, options)
  const after = cursorByUuid.optional().safeParse(c.req.query('after'))
  if (!after.success)
    throw new PageError(400, 'Page not found', 'The address of this page is not valid.')
  const found = await consentsOfClientQuery(options.db, clientId, {
    after: after.data && { grantedAt: after.data.at, id: after.data.id },
    limit: pageSize + 1,
  })
  const consents = found.slice(0, pageSize)
  const last = found.length > pageSize ? consents.at(-1) : undefined
  const page = {
    ...frame(c, options),
    clientId,
    name,
    consents,
    ...(last && { next: `?${new URLSearchParams({ after: `${last.exactly}_${last.id}` })}` }),
    ...(c.req.query('notice') === 'revoked' && {
      notice: 'The client’s access to that user’s account has been revoked.',
    }),
  }
  return c.html(await renderConsentsPage(page))
}

/** Takes back one person's consent, in the operator's name. A second time changes nothing. */
export async function postRevokeConsent(c: AppContext, options: AdminOptions) {
  const { db } = options
  const { clientId } = await requireClientOfPath(c, options)
  const path = `/admin/clients/${clientId}/authorizations`
  const id = uuidParameter(c, 'consentId')
  const user = id && (await findConsentUser(db, { id, clientId }))
  const { actor, origin, now } = actedBy(c)
  const revoked = id && user && (await revokeConsent(db, { id, user, admin: actor, now }, origin))
  if (!revoked) return c.redirect(path, 303)
  recordEndedAccess(c.var.recorder, { ...revoked, consents: 1 }, 'admin')
  return c.redirect(`${path}?notice=revoked`, 303)
}

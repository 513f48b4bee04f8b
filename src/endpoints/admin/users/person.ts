/** /admin/users/:id: one user, editing it, and revoking single sessions, consents, tokens and links. */
import { z } from 'zod'
import type { Database } from '#/database/client.ts'
import { endOwnSession, endSessionsOfUser } from '#/domain/access-revocation/end-sessions.ts'
import { revokeConsent } from '#/domain/access-revocation/revoke-consent.ts'
import { listFailedSignIns } from '#/domain/audit/failed-sign-ins.ts'
import { listConsents } from '#/domain/consents/consents.ts'
import { listIdentities, removeIdentity } from '#/domain/identities/identities.ts'
import { listLiveSessions } from '#/domain/sessions/sessions.ts'
import { endTokenFamily } from '#/domain/tokens/end-family.ts'
import { listTokenFamilies } from '#/domain/tokens/list-token-families.ts'
import { editUser, userVersion } from '#/domain/users/edit-user.ts'
import { findUser, type User } from '#/domain/users/users.ts'
import { outdated } from '#/web/guards/csrf.ts'
import { noticeOf } from '#/web/pages/notices.ts'
import { PageError } from '#/web/pages/page-error.ts'
import { renderTime } from '#/web/pages/times.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { actedBy, signedInUser } from '#/web/sessions/current-user.ts'
import { endSessionsFromAfar } from '#/web/sessions/end-sessions.ts'
import {
  recordEndedAccess,
  recordEndedSessions,
  recordRevokedTokens,
} from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AdminOptions } from '../options.ts'
import { fullNameField } from './full-name.ts'
import { renderEditPage, renderPersonPage } from './person-pages.ts'

const notices: Readonly<Record<string, string>> = {
  saved: 'The user has been updated.',
  signed_out: 'The session has been ended.',
  signed_out_everywhere: 'All sessions have been ended.',
  consent_revoked: 'The app’s access has been revoked.',
  tokens_ended: 'The tokens have been revoked.',
  connection_removed: 'The link has been removed. Sessions that began with it have been ended.',
}
const refusals: Readonly<Record<string, string>> = {
  last_way_in: 'The link was not removed: it is the user’s only way to sign in.',
}

async function requireUser(c: AppContext, db: Database): Promise<User> {
  const id = uuidParameter(c, 'id')
  const user = id === undefined ? undefined : await findUser(db, id)
  if (!user) throw new PageError(404, 'User not found', 'There is no user at this address.')
  return user
}

export async function getPerson(c: AppContext, { db, csrf }: AdminOptions) {
  const account = await requireUser(c, db)
  const [notice, refused] = [noticeOf(c, notices), noticeOf(c, refusals)]
  const page = await renderPersonPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    account,
    ...(await holdingsOf(db, account.id, c.var.now)),
    failures: await listFailedSignIns(db, account.id, c.var.now),
    ...(notice && { notice }),
    ...(refused && { refused }),
  })
  return c.html(page)
}

async function holdingsOf(db: Database, userId: string, now: Date) {
  const sessions = await listLiveSessions(db, userId, now)
  const consents = await listConsents(db, userId)
  const families = await listTokenFamilies(db, userId, now)
  const connections = await listIdentities(db, userId)
  const ago = (at: Date) => renderTime(at, now)
  return {
    sessions: sessions.map(({ id, browser, platform, ip, lastSeenAt, expiresAt }) => {
      const facts = [['IP address', ip] as const, ['Last active', ago(lastSeenAt)] as const]
      const until = ['Expires', ago(expiresAt)] as const
      return { id, title: `${browser} on ${platform}`, facts: [...facts, until] }
    }),
    consents: consents.map(({ id, clientName, scope, grantedAt }) => {
      return {
        id,
        title: clientName,
        facts: [['Scopes', scope] as const, ['Granted', ago(grantedAt)] as const],
      }
    }),
    families: families.map(({ familyId, clientName, scope, expiresAt }) => {
      return {
        id: familyId,
        title: clientName,
        facts: [['Scopes', scope] as const, ['Expires', ago(expiresAt)] as const],
      }
    }),
    connections: connections.map(({ id, label, issuer, lastUsedAt }) => {
      return {
        id,
        title: label,
        facts: [['Provider', issuer] as const, ['Last used', ago(lastUsedAt)] as const],
      }
    }),
  }
}

interface Refused {
  readonly status: 400 | 403 | 409
  readonly text: string
  readonly fields: ReadonlyMap<string, string>
}

export const getEdit = (c: AppContext, options: AdminOptions) => editPage(c, options)

async function editPage(c: AppContext, { db, csrf }: AdminOptions, refused?: Refused) {
  const user = await requireUser(c, db)
  const { fields } = refused ?? {}
  const page = await renderEditPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    id: user.id,
    username: user.username,
    seen: fields?.get('seen') ?? userVersion(user),
    values: fields
      ? {
          fullName: fields.get('full_name') ?? '',
          email: fields.get('email') ?? '',
          role: fields.get('role') ?? '',
        }
      : { ...user, email: user.email ?? '' },
    ...(refused && { refused: refused.text }),
  })
  return c.html(page, refused?.status ?? 200)
}

/** A form that has expired is shown again with its values. */
export const postOutdatedEdit = async (c: AppContext, options: AdminOptions) =>
  editPage(c, options, { status: 403, text: outdated, fields: await readForm(c) })

const edited = z.object({
  full_name: fullNameField,
  email: z.email('Enter a valid email address.').max(320).nullable().default(null),
  role: z.enum(['user', 'admin'], 'Choose a role.'),
  seen: z.string('Open the form again.'),
})

const conflicts: Readonly<Record<string, string>> = {
  self: 'You cannot change your own role.',
  not_admin: 'You are no longer an administrator.',
  changed_meanwhile:
    'Nothing was saved: this user has been changed meanwhile. Open the form again.',
  email_taken: 'Another user has this email address.',
}

export async function postEdit(c: AppContext, options: AdminOptions) {
  const { id } = await requireUser(c, options.db)
  const fields = await readForm(c)
  const parsed = edited.safeParse(Object.fromEntries(fields))
  if (!parsed.success) {
    const text = parsed.error.issues[0]?.message ?? ''
    return editPage(c, options, { status: 400, text, fields })
  }
  const { full_name: fullName, email, role, seen } = parsed.data
  const saved = await editUser(options.db, { id, fullName, email, role, seen }, actedBy(c))
  const conflict = conflicts[saved.result]
  if (conflict) return editPage(c, options, { status: 409, text: conflict, fields })
  return back(c, id, saved.result === 'success' ? 'saved' : undefined)
}

const back = (c: AppContext, id: string, notice: string | undefined) =>
  c.redirect(`/admin/users/${id}${notice ? `?notice=${notice}` : ''}`, 303)

export async function postEndSession(c: AppContext, { db }: AdminOptions) {
  const user = await requireUser(c, db)
  const id = uuidParameter(c, 'sessionId')
  const end = { reason: 'revoked', tokenReason: 'admin_request', now: c.var.now } as const
  const ended = await endSessionsFromAfar(c, db, async (tx) =>
    id === undefined ? [] : endOwnSession(tx, { userId: user.id, id }, end),
  )
  return back(c, user.id, ended.length > 0 ? 'signed_out' : undefined)
}

export async function postEndSessions(c: AppContext, { db }: AdminOptions) {
  const { id } = await requireUser(c, db)
  const end = { reason: 'revoked', tokenReason: 'admin_request', now: c.var.now } as const
  const ended = await endSessionsFromAfar(c, db, (tx) => endSessionsOfUser(tx, id, end))
  return back(c, id, ended.length > 0 ? 'signed_out_everywhere' : undefined)
}

export async function postRevokeConsent(c: AppContext, { db }: AdminOptions) {
  const user = await requireUser(c, db)
  const id = uuidParameter(c, 'consentId')
  const { actor, origin, now } = actedBy(c)
  const revoked = id && (await revokeConsent(db, { id, user, admin: actor, now }, origin))
  if (!revoked) return back(c, user.id, undefined)
  recordEndedAccess(c.var.recorder, { ...revoked, consents: 1 }, 'admin')
  return back(c, user.id, 'consent_revoked')
}

export async function postEndFamily(c: AppContext, { db }: AdminOptions) {
  const user = await requireUser(c, db)
  const familyId = uuidParameter(c, 'familyId')
  const revoked = familyId && (await endTokenFamily(db, { familyId, userId: user.id }, actedBy(c)))
  if (!revoked) return back(c, user.id, undefined)
  recordRevokedTokens(c.var.recorder, revoked)
  return back(c, user.id, 'tokens_ended')
}

export async function postRemoveConnection(c: AppContext, { db }: AdminOptions) {
  const user = await requireUser(c, db)
  const id = uuidParameter(c, 'identityId')
  const keepSession = signedInUser(c).session.id
  const removed = id
    ? await removeIdentity(db, { id, userId: user.id, keepSession }, actedBy(c))
    : 'unknown'
  if (removed === 'unknown') return back(c, user.id, undefined)
  if (removed === 'last_way_in') return back(c, user.id, removed)
  recordEndedSessions(c.var.recorder, removed.sessions)
  return back(c, user.id, 'connection_removed')
}

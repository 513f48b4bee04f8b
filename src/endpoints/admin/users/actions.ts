/** /admin/users: list, create, enable, disable and delete users. */
import { z } from 'zod'
import type { UserEnd } from '#/domain/access-revocation/end-users.ts'
import { changePassword, deleteUser, disableUser } from '#/domain/access-revocation/end-users.ts'
import type { UserChangeRefusal } from '#/domain/users/change-refusal.ts'
import { enableUser } from '#/domain/users/enable-user.ts'
import { usersPageQuery } from '#/domain/users/list-users.ts'
import { findPasswordProblem, passwordProblems } from '#/domain/users/password-rules.ts'
import { createUser, findUser, isUsername, normalizeUsername } from '#/domain/users/users.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import { noticeOf } from '#/web/pages/notices.ts'
import { PageError } from '#/web/pages/page-error.ts'
import { outdatedForm, type RefusedForm } from '#/web/pages/refused-form.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readFields, uniqueParameters } from '#/web/request/forms.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { actedBy, signedInUser } from '#/web/sessions/current-user.ts'
import { recordEndedAccess, recordEndedSessions } from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AdminOptions } from '../options.ts'
import { fullNameField } from './full-name.ts'
import { renderUserPasswordPage, renderUsersPage } from './pages.ts'

const path = '/admin/users'
const pageSize = 50

const notices: Readonly<Record<string, string>> = {
  disabled: 'The user has been disabled. All sessions and tokens have been revoked.',
  enabled: 'The user has been enabled.',
  deleted: 'The user has been deleted.',
}

export const getUsers = (c: AppContext, options: AdminOptions) => usersPage(c, options)

async function usersPage(c: AppContext, { db, csrf }: AdminOptions, refused?: RefusedForm) {
  const search = searchable(c.req.query('search'))
  const after = searchable(c.req.query('after'))
  const found = await usersPageQuery(db, { after, search, limit: pageSize + 1 })
  const last = found.length > pageSize ? found[pageSize - 1]?.user : undefined
  const notice = noticeOf(c, notices)
  const page = await renderUsersPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    users: found
      .slice(0, pageSize)
      .map(({ user, lastSeenAt }) => ({ ...user, ...(lastSeenAt && { lastSeenAt }) })),
    ...(last && {
      next: `${path}?${new URLSearchParams({ after: last.username, ...(search && { search }) })}`,
    }),
    ...(search && { search }),
    ...(notice && { notice }),
    ...(refused && { refused }),
  })
  return c.html(page, refused ? (refused.status ?? 400) : 200)
}

/** What names and addresses may be compared with: not too long. */
const searchable = (text: string | undefined) => text?.trim().slice(0, 100)

const newUser = z.object({
  username: z
    .string('Enter a username.')
    .transform(normalizeUsername)
    .refine(isUsername, 'The username may contain letters, digits and _ . @ + - only.'),
  email: z.email('Enter a valid email address.').max(320),
  full_name: fullNameField,
  role: z.enum(['user', 'admin']).default('user'),
  password: z.string().optional(),
})

/** What was typed stays, for a form that is out of date; all but the password. */
export const postOutdatedUser = async (c: AppContext, options: AdminOptions) =>
  usersPage(c, options, outdatedForm(await readFields(c)))

/** The answer shows the password, or the form again with what is wrong with it. */
export async function postUser(c: AppContext, options: AdminOptions) {
  const { db, issuer, csrf, passwords } = options
  const values = await readFields(c)
  const refuse = (status: 400 | 409, field: string, why: string) =>
    usersPage(c, options, { values, field, problem: why, status })
  const parsed = newUser.safeParse(Object.fromEntries(uniqueParameters(values)))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refuse(400, String(issue?.path[0] ?? ''), issue?.message ?? '')
  }
  const { username, email, role, full_name: fullName } = parsed.data
  const { password = randomSecret().slice(0, 20) } = parsed.data
  const weak = await findPasswordProblem(password, { username, fullName, email, issuer })
  if (weak) return refuse(400, 'password', passwordProblems[weak])
  const created = await createUser(
    db,
    {
      username,
      email,
      role,
      fullName,
      passwordHash: await passwords.hash(password),
      passwordMustChange: true,
      now: c.var.now,
    },
    { origin: c.var.origin, actor: signedInUser(c).user },
  )
  if (!created) return refuse(409, 'username', 'The username or email address is already in use.')
  return c.html(
    await renderUserPasswordPage({ user: viewer(c), csrfToken: csrf.token(c), username, password }),
  )
}

export async function postUserDisable(c: AppContext, { db }: AdminOptions) {
  recordEnded(c, await disableUser(db, requireId(c), actedBy(c)))
  return c.redirect(`${path}?notice=disabled`, 303)
}

export async function postUserEnable(c: AppContext, { db }: AdminOptions) {
  const enabled = await enableUser(db, requireId(c), actedBy(c))
  return c.redirect(enabled ? `${path}?notice=enabled` : path, 303)
}

export async function postUserDelete(c: AppContext, { db }: AdminOptions) {
  recordEnded(c, await deleteUser(db, requireId(c), actedBy(c)))
  return c.redirect(`${path}?notice=deleted`, 303)
}

/** A random password, shown once. */
export async function postUserPassword(c: AppContext, { db, csrf, passwords }: AdminOptions) {
  const id = requireId(c)
  const user = await findUser(db, id)
  if (user?.authSource !== 'local')
    throw new PageError(
      404,
      'User not found',
      'There is no user with a local password at this address.',
    )
  const password = randomSecret().slice(0, 20)
  const ended = await changePassword(
    db,
    { id, passwordHash: await passwords.hash(password), mustChange: true },
    actedBy(c),
  )
  recordEnded(c, ended.result === 'no_change' ? { result: 'unknown_user' } : ended)
  return c.html(
    await renderUserPasswordPage({
      user: viewer(c),
      csrfToken: csrf.token(c),
      username: user.username,
      password,
    }),
  )
}

const refusals: Readonly<Record<Exclude<UserChangeRefusal, 'no_change'>, string>> = {
  unknown_user: 'The user does not exist.',
  self: 'You cannot do this to your own account.',
  not_admin: 'You are no longer an administrator.',
}

/** Records what a committed change has ended; a refusal becomes a page, "nothing to change" does not. */
function recordEnded(c: AppContext, ended: UserEnd) {
  if (ended.result === 'no_change') return
  if (ended.result !== 'success')
    throw new PageError(409, 'Nothing was changed', refusals[ended.result])
  recordEndedSessions(c.var.recorder, ended.sessions)
  recordEndedAccess(c.var.recorder, ended, 'admin')
}

function requireId(c: AppContext): string {
  const id = uuidParameter(c, 'id')
  if (id === undefined)
    throw new PageError(404, 'User not found', 'There is no user at this address.')
  return id
}

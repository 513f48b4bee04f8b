import { html } from 'hono/html'
import type { UserAuthSource } from '#/protocol/vocabulary.ts'
import {
  actionMenu,
  badge,
  confirmation,
  copyable,
  emptyState,
  monogram,
  notice,
  pageHeading,
  postForm,
} from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { oneTime } from '#/web/pages/one-time.ts'
import type { RefusedForm } from '#/web/pages/refused-form.ts'
import { renderTime } from '#/web/pages/times.ts'
import type { AdminPageProps } from '../page.ts'
import { userForm } from './form.ts'
import { sources } from './person-pages.ts'

export interface UsersPageProps extends AdminPageProps {
  readonly users: readonly {
    readonly id: string
    readonly username: string
    readonly email: string | null
    readonly role: 'user' | 'admin'
    readonly isActive: boolean
    readonly authSource: UserAuthSource
    readonly createdAt: Date
    readonly lastSeenAt?: Date
  }[]
  /** Address of the next page, if there is one. */
  readonly next?: string
  readonly search?: string
  /** The form that was refused. */
  readonly refused?: RefusedForm
}

type Account = UsersPageProps['users'][number]

/** The list of users, with the actions on each. */
export function renderUsersPage(props: UsersPageProps): Html {
  const { user, csrfToken, users, search, next } = props
  const nobody = emptyState('people', {
    title: 'No users found',
    text: search
      ? `No username, email address or full name begins with “${search}”.`
      : 'There are no users yet.',
    action: html`<p><a class="button" href="/admin/users">Show all users</a></p>`,
  })
  const more = next && html`<p class="paging"><a class="button" href="${next}">Next page</a></p>`
  const lead = 'Everyone who has an account. Disabling or deleting a user takes effect immediately.'
  return renderPage(
    { title: 'Users', user, csrfToken, nav: 'admin-users', wide: true },
    html`${pageHeading('Users', lead, searchForm(search))}
${notice(props.notice)}
${userForm(csrfToken, props.refused)}
${users.length > 0 ? userTable(props) : nobody}
${more}`,
  )
}

const searchForm = (search = '') =>
  html`<form class="search" role="search" method="get" action="/admin/users">
<label class="visually-hidden" for="search">Username, email address or full name</label>
<input id="search" name="search" type="search" placeholder="Name or email" autocomplete="off" maxlength="100" value="${search}">
<button class="button">Search</button>
</form>`

function userTable({ user, csrfToken, users, now = new Date() }: UsersPageProps): Html {
  const rows = users.map((account) => {
    const self = account.username === user.username
    const action = self
      ? html`<a class="button button-small" href="/account/security">Security</a>`
      : userMenu(account, csrfToken)
    return userRow(account, { self, action, now })
  })
  return html`<table class="card table">
<caption class="visually-hidden">Users</caption>
<thead>
<tr>
<th scope="col">User</th>
<th scope="col">Status</th>
<th scope="col">Signs in with</th>
<th scope="col">Last seen</th>
<th scope="col">Created</th>
<th scope="col"><span class="visually-hidden">Actions</span></th>
</tr>
</thead>
<tbody>${rows}</tbody>
</table>`
}

const userRow = (
  account: Account,
  { self, action, now }: { self: boolean; action: Html; now: Date },
) =>
  html`<tr>
<td class="cell-lead">
${monogram(account.username)}
<div>
<p class="cell-title"><a href="/admin/users/${account.id}">${account.username}</a> ${account.role === 'admin' && badge('Admin', 'accent')} ${self && badge('You')}</p>
<p class="cell-note">${account.email ?? 'No email address'}</p>
</div>
</td>
<td data-label="Status">${account.isActive ? badge('Active', 'good') : badge('Disabled', 'bad')}</td>
<td data-label="Signs in with">${sources[account.authSource]}</td>
<td data-label="Last seen">${account.lastSeenAt ? renderTime(account.lastSeenAt, now) : 'Never'}</td>
<td data-label="Created">${renderTime(account.createdAt, now)}</td>
<td class="cell-action">${action}</td>
</tr>`

/** Two steps, so that no single click changes anything: open the menu, then press its button. */
function userMenu({ id, username, isActive, authSource }: Account, csrfToken: string): Html {
  const to = (verb: string) => ({
    action: `/admin/users/${encodeURIComponent(id)}/${verb}`,
    csrfToken,
  })
  const sections = [
    authSource === 'local' &&
      postForm(
        to('reset-password'),
        html`<p class="menu-text">Generates a new password, shown once. All sessions and tokens are revoked.</p><button class="button">Reset password</button>`,
      ),
    isActive
      ? postForm(
          to('disable'),
          html`<p class="menu-text">Signs ${username} out everywhere and blocks sign-in until enabled again.</p><button class="button">Disable user</button>`,
        )
      : postForm(
          to('enable'),
          html`<p class="menu-text">Allows ${username} to sign in again.</p><button class="button">Enable user</button>`,
        ),
    confirmation(
      'Delete user…',
      postForm(
        to('delete'),
        html`<p class="menu-text">Deletes ${username} and everything that belongs to this user. This cannot be undone.</p><button class="button button-danger">Delete user</button>`,
      ),
    ),
  ]
  return actionMenu({ label: 'Manage', of: username }, sections)
}

export interface UserPasswordPageProps extends AdminPageProps {
  readonly username: string
  readonly password: string
}

/** A generated password; it is shown only here. */
export function renderUserPasswordPage(props: UserPasswordPageProps): Html {
  const { user, csrfToken, username, password } = props
  return renderPage(
    { title: `Password for ${username}`, user, csrfToken, nav: 'admin-users' },
    oneTime({
      title: `Password for ${username}`,
      warning: 'This password is shown only once. Share it over a secure channel.',
      values: html`${copyable('Username', username)}${copyable('Password', password)}`,
      back: { href: '/admin/users', text: 'Back to users' },
    }),
  )
}

/** One user: profile, sessions, consents, tokens and linked accounts. */
import { html } from 'hono/html'
import type { FailedSignIn } from '#/domain/audit/failed-sign-ins.ts'
import { maxConsents } from '#/domain/consents/consents.ts'
import { maxIdentities } from '#/domain/identities/identities.ts'
import { maxSessions } from '#/domain/sessions/sessions.ts'
import { maxTokenFamilies } from '#/domain/tokens/list-token-families.ts'
import type { UserAuthSource } from '#/protocol/vocabulary.ts'
import {
  actionMenu,
  badge,
  choices,
  confirmation,
  cutOff,
  fact,
  listItem,
  monogram,
  notice,
  pageHeading,
  postForm,
  problem,
  textField,
} from '#/web/pages/components.ts'
import { failedSignIns } from '#/web/pages/failed-sign-ins.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { renderTime } from '#/web/pages/times.ts'
import type { AdminPageProps } from '../page.ts'

interface Holding {
  readonly id: string
  readonly title: string
  readonly facts: readonly (readonly [string, Html | string])[]
}

export interface PersonPageProps extends AdminPageProps {
  readonly account: {
    readonly id: string
    readonly username: string
    readonly email: string | null
    readonly emailVerified: boolean
    readonly fullName: string
    readonly role: 'user' | 'admin'
    readonly isActive: boolean
    readonly authSource: UserAuthSource
    readonly createdAt: Date
  }
  readonly sessions: readonly Holding[]
  readonly consents: readonly Holding[]
  readonly families: readonly Holding[]
  readonly connections: readonly Holding[]
  readonly failures: readonly FailedSignIn[]
  readonly refused?: string
}

/** Everything an administrator can see of a user, with the actions on it. */
export function renderPersonPage(props: PersonPageProps): Html {
  const { user, csrfToken, account, now = new Date() } = props
  const edit = html`<a class="button" href="/admin/users/${account.id}/edit">Edit</a>`
  const everywhere = confirmation(
    'Sign out everywhere…',
    postForm(
      { action: `/admin/users/${account.id}/sessions/revoke-all`, csrfToken },
      html`<p class="menu-text">Ends all sessions of ${account.username}.</p><button class="button button-danger">Sign out everywhere</button>`,
    ),
  )
  return renderPage(
    { title: account.username, user, csrfToken, nav: 'admin-users', wide: true },
    html`${pageHeading(account.username, account.fullName || 'No full name', edit)}
${notice(props.notice)}
${problem(props.refused, 'person-problem')}
<section class="card padded"><dl class="facts">
${fact('Role', account.role === 'admin' ? 'Admin' : 'User')}
${fact('Status', account.isActive ? badge('Active', 'good') : badge('Disabled', 'bad'))}
${fact('Email', account.email === null ? 'None' : `${account.email} (${account.emailVerified ? 'verified' : 'not verified'})`)}
${fact('Signs in with', sources[account.authSource])}
${fact('Created', renderTime(account.createdAt, now))}
${fact('Audit log', html`<a href="/admin/audit?actor=${account.id}">Actions by this user</a>, <a href="/admin/audit?resource=${account.id}">changes to this user</a>`)}
</dl></section>
${failedSignIns(props.failures, { now, advice: html`See all in <a href="/admin/audit?actor=${account.id}&type=AUTHENTICATION_FAILURE">the audit log</a>.` })}
${section(props, { title: 'Active sessions', list: props.sessions, verb: ['sessions', 'revoke'], button: 'Sign out', ask: 'Ends this session.', none: 'No active sessions.', most: maxSessions, rest: '“Sign out everywhere” also ends the others.', after: props.sessions.length > 0 && everywhere })}
${section(props, { title: 'Apps with access', list: props.consents, verb: ['authorizations', 'revoke'], button: 'Revoke access', ask: 'The app loses access immediately and has to ask again.', none: 'No apps have access.', most: maxConsents, rest: 'Revoke some to see older ones.' })}
${section(props, { title: 'Active tokens', list: props.families, verb: ['tokens', 'revoke'], button: 'Revoke tokens', ask: 'Revokes all tokens from this authorization.', none: 'No active tokens.', most: maxTokenFamilies, rest: html`<a href="/admin/tokens?user=${account.id}">See all active tokens of this user</a>` })}
${section(props, { title: 'Linked accounts', list: props.connections, verb: ['connections', 'remove'], button: 'Remove link', ask: 'The user can no longer sign in this way. Sessions that began with it end, too.', none: 'No linked accounts.', most: maxIdentities, rest: 'Remove some to see the others.' })}
<p class="paging"><a class="button" href="/admin/users">Back to users</a></p>`,
  )
}

export const sources: Readonly<Record<UserAuthSource, string>> = {
  local: 'Password',
  http_api: 'External API',
  oauth: 'Identity provider',
}

interface Section {
  readonly title: string
  readonly list: readonly Holding[]
  readonly verb: readonly [string, string]
  readonly button: string
  /** Explains the button. */
  readonly ask: string
  readonly none: string
  /** Length limit of the list, and where to find the rest. */
  readonly most: number
  readonly rest: Html | string
  /** What can be done with all of them. */
  readonly after?: Html | false
}

function section({ account, csrfToken }: PersonPageProps, of: Section): Html {
  const [folder, verb] = of.verb
  const items = of.list.map(({ id, title, facts }) => {
    const action = `/admin/users/${account.id}/${folder}/${id}/${verb}`
    const button = html`<p class="menu-text">${of.ask}</p><button class="button button-danger">${of.button}</button>`
    return listItem(
      {
        tile: monogram(title),
        title: html`<h3>${title}</h3>`,
        action: actionMenu({ label: of.button, of: title }, [
          postForm({ action, csrfToken }, button),
        ]),
      },
      html`<dl class="facts">${facts.map(([term, value]) => fact(term, value))}</dl>`,
    )
  })
  const list =
    items.length > 0
      ? html`<ul class="card-list">${items}</ul>`
      : html`<p class="hint">${of.none}</p>`
  return html`<section class="holdings"><h2>${of.title}</h2>${list}${cutOff(items.length, of.most, of.rest)}${of.after}</section>`
}

export interface EditPageProps extends AdminPageProps {
  readonly id: string
  readonly username: string
  /** The version that the form was made from. */
  readonly seen: string
  readonly values: { readonly fullName: string; readonly email: string; readonly role: string }
  readonly refused?: string
}

/** The form that edits an account, with what was wrong with it. */
export function renderEditPage(props: EditPageProps): Html {
  const { user, csrfToken, id, username, seen, values } = props
  const role = (value: string, label: string, detail: string) =>
    ({ type: 'radio', name: 'role', value, label, detail, checked: values.role === value }) as const
  const fields = html`<input type="hidden" name="seen" value="${seen}">
${textField({ name: 'full_name', label: 'Full name', value: values.fullName, autocomplete: 'off', maxLength: 200, optional: true })}
${textField({ name: 'email', label: 'Email address', type: 'email', value: values.email, autocomplete: 'off', maxLength: 320, optional: true, hint: 'A new address is not verified. Leave empty for none.' })}
${choices('Role', [
  role('user', 'User', 'Signs in to apps and manages their own account.'),
  role('admin', 'Admin', 'Also manages users and clients.'),
])}
<div class="form-end"><a class="button" href="/admin/users/${id}">Cancel</a> <button class="button button-primary">Save</button></div>`
  return renderPage(
    { title: `Edit ${username}`, user, csrfToken, nav: 'admin-users' },
    html`${pageHeading(`Edit ${username}`, 'The username cannot be changed.')}
${problem(props.refused, 'user-problem')}
<section class="card padded">${postForm({ action: `/admin/users/${id}`, csrfToken, className: 'stack' }, fields)}</section>`,
  )
}

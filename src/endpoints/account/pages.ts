import { html } from 'hono/html'
import type { FailedSignIn } from '#/domain/audit/failed-sign-ins.ts'
import { maxConsents } from '#/domain/consents/consents.ts'
import { maxSessions } from '#/domain/sessions/sessions.ts'
import { maxTokenFamilies } from '#/domain/tokens/list-token-families.ts'
import { minPasswordLength } from '#/domain/users/password-rules.ts'
import { type LoginSource, upstreamTitles } from '#/protocol/vocabulary.ts'
import {
  actionMenu,
  badge,
  cutOff,
  emptyState,
  fact,
  listItem,
  monogram,
  notice,
  outsideLink,
  pageHeading,
  postForm,
  problem,
  textField,
} from '#/web/pages/components.ts'
import { failedSignIns } from '#/web/pages/failed-sign-ins.ts'
import type { Html } from '#/web/pages/html.ts'
import { icons } from '#/web/pages/icons.ts'
import { type PageUser, renderPage } from '#/web/pages/layout.ts'
import { renderTime } from '#/web/pages/times.ts'
import { type LinksProps, linksSection } from './links.ts'

interface AccountPageProps {
  readonly user: PageUser
  readonly csrfToken: string
  /** What has just happened. */
  readonly notice?: string
  /** The moment that "3 minutes ago" is measured from. */
  readonly now?: Date
}

export interface DevicesPageProps extends AccountPageProps {
  readonly sessions: readonly {
    readonly id: string
    /** The browser that is looking at this page. */
    readonly current: boolean
    readonly browser: string
    readonly platform: string
    readonly ip: string
    readonly createdAt: Date
    readonly lastSeenAt: Date
    readonly expiresAt: Date
    readonly remembered: boolean
    readonly loginSource: LoginSource
  }[]
}

type Device = DevicesPageProps['sessions'][number]

/** The user's active sessions, each with a way to end it. */
export function renderDevicesPage(props: DevicesPageProps): Html {
  const { user, csrfToken, sessions, now = new Date() } = props
  const ordered = [...sessions].sort((a, b) => Number(b.current) - Number(a.current))
  const others = sessions.some(({ current }) => !current)
  const everywhereElse = actionMenu({ label: 'Sign out everywhere else', of: '' }, [
    postForm(
      { action: '/account/devices/revoke-others', csrfToken },
      html`<p class="menu-text">Signs you out on every device but this one.</p><button class="button button-danger">Sign out everywhere else</button>`,
    ),
  ])
  const lead =
    'Browsers that are signed in to your account. Sign out any that you do not recognize.'
  return renderPage(
    { title: 'Devices', user, csrfToken, nav: 'devices' },
    html`${pageHeading('Devices', lead, others ? everywhereElse : '')}
${notice(props.notice)}
<ul class="card-list">${ordered.map((device) => deviceCard(device, csrfToken, now))}</ul>
${cutOff(sessions.length, maxSessions, '“Sign out everywhere else” also ends the others.')}
${others ? '' : html`<p class="aside-note">You are not signed in anywhere else.</p>`}
<p class="aside-note">Does a device or command-line tool show you a code? <a href="/device">Connect it</a>.</p>`,
  )
}

function deviceCard(device: Device, csrfToken: string, now: Date): Html {
  const { id, current, browser, platform, ip, remembered } = device
  const name = `${browser} on ${platform}`
  const signOut = postForm(
    { action: `/account/devices/${encodeURIComponent(id)}/revoke`, csrfToken },
    html`<button class="button button-small">Sign out<span class="visually-hidden"> ${name}</span></button>`,
  )
  const title = html`<h2>${name} ${current && badge('This device', 'accent')}</h2><p class="item-note">From ${ip}</p>`
  return listItem(
    {
      tile: html`<span class="item-icon">${deviceIcon(device)}</span>`,
      title,
      action: current ? undefined : signOut,
      ...(current && { className: 'item-current' }),
    },
    html`<dl class="facts">
${fact('Last active', renderTime(device.lastSeenAt, now))}
${fact('Signed in', html`${renderTime(device.createdAt, now)} ${signedInWith(device.loginSource)}`)}
${fact(remembered ? 'Stays signed in until' : 'Signed in until', renderTime(device.expiresAt, now))}
</dl>`,
  )
}

const signedInWith = (source: LoginSource) => {
  if (source === 'local') return 'with a password'
  return source === 'http_api'
    ? 'with your organization’s password'
    : `with ${upstreamTitles[source]}`
}

function deviceIcon({ browser, platform }: Device): Html {
  if (browser === 'curl') return icons.terminal()
  return /^(iOS|iPadOS|Android)$/.test(platform) ? icons.phone() : icons.computer()
}

export interface AuthorizationsPageProps extends AccountPageProps {
  readonly consents: readonly {
    readonly id: string
    readonly clientName: string
    readonly clientUri?: string
    readonly scopes: readonly { readonly title: string }[]
    readonly grantedAt: Date
    readonly lastUsedAt?: Date
  }[]
}

type Consent = AuthorizationsPageProps['consents'][number]

/** The apps with access, each with a way to revoke it. */
export function renderAuthorizationsPage(props: AuthorizationsPageProps): Html {
  const { user, csrfToken, consents, now = new Date() } = props
  const empty = emptyState('apps', {
    title: 'No apps have access',
    text: 'Apps that you allow to use your account appear here. You can revoke their access at any time.',
  })
  const lead = 'Apps that you have allowed to use your account, and what they can do.'
  const list = html`<ul class="card-list">${consents.map((consent) => consentCard(consent, csrfToken, now))}</ul>
${cutOff(consents.length, maxConsents, 'Revoke some to see older ones.')}
<p class="aside-note"><a href="/account/tokens">See connected apps</a></p>`
  return renderPage(
    { title: 'Apps with access', user, csrfToken, nav: 'authorizations' },
    html`${pageHeading('Apps with access', lead)}
${notice(props.notice)}
${consents.length > 0 ? list : empty}`,
  )
}

function consentCard(consent: Consent, csrfToken: string, now: Date): Html {
  const { id, clientName, clientUri, scopes, grantedAt, lastUsedAt } = consent
  const remove = postForm(
    { action: `/account/authorizations/${encodeURIComponent(id)}/revoke`, csrfToken },
    html`<p class="menu-text">${clientName} loses access immediately. To regain it, it has to ask you again.</p>
<button class="button button-danger">Revoke access</button>`,
  )
  const title = html`<h2>${outsideLink(clientUri, clientName)}</h2><p class="item-note">Allowed ${renderTime(grantedAt, now)}${lastUsedAt && html`, last used ${renderTime(lastUsedAt, now)}`}</p>`
  const action = actionMenu({ label: 'Revoke access', of: clientName }, [remove])
  return listItem({ tile: monogram(clientName), title, action }, scopeChips(scopes))
}

const scopeChips = (scopes: readonly { readonly title: string }[]) =>
  html`<ul class="chips">${scopes.map(({ title }) => html`<li>${title}</li>`)}</ul>`

export interface SecurityPageProps extends AccountPageProps {
  /** False for accounts whose password is kept elsewhere. */
  readonly passwordChangeable: boolean
  readonly links: Omit<LinksProps, 'csrfToken' | 'now'>
  readonly failures: readonly FailedSignIn[]
  readonly errors?: { readonly current?: string; readonly new?: string }
}

/** Changing one's own password. */
export function renderSecurityPage(props: SecurityPageProps): Html {
  const { user, csrfToken, passwordChangeable, links, failures, errors = {} } = props
  const now = props.now ?? new Date()
  const elsewhere = emptyState('key', {
    title: 'Your password is managed elsewhere',
    text: 'You sign in with another service. Change your password there.',
  })
  const failed = errors.current || errors.new
  return renderPage(
    { title: 'Security', user, csrfToken, nav: 'security' },
    html`${pageHeading('Security', 'Your password and other ways to sign in.')}
${notice(props.notice)}
${problem(failed && 'Your password was not changed.', 'password-problem')}
${passwordChangeable ? passwordForm(props) : elsewhere}
${failedSignIns(failures, { now, advice: unlessYou })}
${linksSection({ ...links, csrfToken, now })}`,
  )
}

const unlessYou =
  'If this was not you, somebody may be guessing your password. None of these attempts succeeded, and repeated attempts are slowed down. Use a password that you use nowhere else.'

interface PasswordFieldsProps {
  readonly username: string
  /** What the password is called that they have now. */
  readonly current: string
  readonly errors: { readonly current?: string; readonly new?: string }
}

/** The name is for password managers. */
export const passwordFields = ({ username, current, errors }: PasswordFieldsProps): Html[] => [
  textField({
    name: 'username',
    label: 'Username',
    value: username,
    autocomplete: 'username',
    readOnly: true,
  }),
  textField({
    name: 'current_password',
    label: current,
    type: 'password',
    autocomplete: 'current-password',
    error: errors.current,
    autofocus: errors.current !== undefined,
  }),
  textField({
    name: 'new_password',
    label: 'New password',
    type: 'password',
    autocomplete: 'new-password',
    minLength: minPasswordLength,
    hint: `At least ${minPasswordLength} characters. A few unrelated words are easy to remember and hard to guess.`,
    error: errors.new,
    autofocus: errors.new !== undefined && errors.current === undefined,
  }),
  textField({
    name: 'new_password_again',
    label: 'Confirm new password',
    type: 'password',
    autocomplete: 'new-password',
    minLength: minPasswordLength,
    invalidBecause: errors.new && 'new_password-error',
  }),
]

function passwordForm({ user, csrfToken, errors = {} }: SecurityPageProps): Html {
  const { username } = user
  const fields = passwordFields({ username, current: 'Current password', errors })
  const form = postForm(
    { action: '/account/security/password', csrfToken, className: 'stack' },
    html`${fields}
<div class="form-end">
<button class="button button-primary">Change password</button>
<p class="hint">Signs out all your other devices and disconnects all apps.</p>
</div>`,
  )
  return html`<section class="card padded"><h2>Change your password</h2>${form}</section>`
}

export interface TokensPageProps extends AccountPageProps {
  readonly grants: readonly {
    readonly familyId: string
    readonly clientName: string
    readonly scopes: readonly { readonly title: string }[]
    readonly issuedAt: Date
    readonly lastUsedAt?: Date
    readonly expiresAt: Date
  }[]
}

/** The apps that hold a live token. */
export function renderTokensPage(props: TokensPageProps): Html {
  const { user, csrfToken, grants, now = new Date() } = props
  const empty = emptyState('apps', {
    title: 'No connected apps',
    text: 'An app appears here while it holds a token that lets it act on your behalf.',
  })
  const list = html`<ul class="card-list">${grants.map((grant) => grantCard(grant, { csrfToken, now }))}</ul>`
  const all = actionMenu({ label: 'Disconnect all', of: '' }, [
    postForm(
      { action: '/account/tokens/revoke-all', csrfToken },
      html`<p class="menu-text">Revokes all tokens immediately. Apps keep the access that you allowed and can connect again.</p><button class="button button-danger">Disconnect all</button>`,
    ),
  ])
  const lead = 'Apps that hold a token and can act on your behalf until it expires.'
  return renderPage(
    { title: 'Connected apps', user, csrfToken, nav: 'authorizations' },
    html`${pageHeading('Connected apps', lead, grants.length > 1 ? all : '')}
${notice(props.notice)}
${grants.length > 0 ? list : empty}
${cutOff(grants.length, maxTokenFamilies, '“Disconnect all” also disconnects the others.')}
<p class="aside-note">To make an app ask you again, revoke its access under <a href="/account/authorizations">Apps with access</a>.</p>`,
  )
}

function grantCard(
  grant: TokensPageProps['grants'][number],
  { csrfToken, now }: { csrfToken: string; now: Date },
): Html {
  const { familyId, clientName } = grant
  const end = postForm(
    { action: `/account/tokens/${encodeURIComponent(familyId)}/revoke`, csrfToken },
    html`<p class="menu-text">Revokes its tokens immediately. It keeps the access that you allowed and can connect again.</p>
<button class="button button-danger">Disconnect</button>`,
  )
  const title = html`<h2>${clientName}</h2>`
  const action = actionMenu({ label: 'Disconnect', of: clientName }, [end])
  return listItem(
    { tile: monogram(clientName), title, action },
    html`${scopeChips(grant.scopes)}
<dl class="facts">
${fact('Connected', renderTime(grant.issuedAt, now))}
${grant.lastUsedAt && fact('Last used', renderTime(grant.lastUsedAt, now))}
${fact('Expires', renderTime(grant.expiresAt, now))}
</dl>`,
  )
}

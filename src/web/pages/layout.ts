/**
 * The frame around every page: document, header, navigation. Also where the stylesheet and the icon live: under
 * names that contain a hash of their content, so that browsers may keep them for ever.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { html } from 'hono/html'
import { postForm } from './components.ts'
import { attributes, type Html } from './html.ts'
import { gateMark } from './icons.ts'

/** The signed-in user, as the page header shows it. */
export interface PageUser {
  readonly username: string
  readonly isAdmin: boolean
}

type NavItem =
  | 'devices'
  | 'authorizations'
  | 'apps'
  | 'security'
  | 'admin'
  | 'admin-users'
  | 'admin-clients'
  | 'admin-tokens'
  | 'admin-audit'

export interface PageProps {
  readonly title: string
  /** Without one the page stands alone: no navigation, one narrow column. */
  readonly user?: PageUser | undefined
  /** For the sign-out button; needed wherever there is a user. */
  readonly csrfToken?: string
  /** For tables that need the room. */
  readonly wide?: boolean
  readonly nav?: NavItem
}

/** A whole document around `body`. */
export function renderPage(props: PageProps, body: Html): Html {
  const { title, user, wide } = props
  const width = wide ? 'wide' : 'regular'
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title} · AuthGate</title>
<link rel="icon" type="image/svg+xml" href="${iconPath}">
<link rel="stylesheet" href="${stylesheetPath}">
${user && html`<script type="module" src="${copyScriptPath}"></script>`}
</head>
<body class="${user ? `page-${width}` : 'page-alone'}">
<a class="skip-link" href="#content">Skip to content</a>
${user ? memberHeader(user, props) : aloneHeader()}
<main id="content" tabindex="-1">${body}</main>
</body>
</html>
`
}

const wordmark = () => html`${gateMark()}<span class="wordmark">AuthGate</span>`

const aloneHeader = () =>
  html`<header class="alone-header"><span class="brand">${wordmark()}</span></header>`

const memberHeader = (user: PageUser, { nav, csrfToken = '' }: PageProps) =>
  html`<header class="member-header">
<div class="bar">
<a class="brand" href="/">${wordmark()}</a>
<div class="who">
<span class="who-name"><span class="visually-hidden">Signed in as </span>${user.username}</span>
${postForm({ action: '/logout', csrfToken }, html`<button class="button button-quiet button-small">Sign out</button>`)}
</div>
</div>
<nav aria-label="Main">
<div class="tabs">
${user.isAdmin ? sections.map((section) => navSection(section, nav)) : navLinks(accountLinks, nav)}
</div>
</nav>
</header>`

type NavLink = readonly [NavItem, href: string, text: string]

const accountLinks: readonly NavLink[] = [
  ['devices', '/account/devices', 'Devices'],
  ['authorizations', '/account/authorizations', 'Apps with access'],
  ['apps', '/apps', 'My apps'],
  ['security', '/account/security', 'Security'],
]

const adminLinks: readonly NavLink[] = [
  ['admin', '/admin', 'Overview'],
  ['admin-users', '/admin/users', 'Users'],
  ['admin-clients', '/admin/clients', 'Clients'],
  ['admin-tokens', '/admin/tokens', 'Tokens'],
  ['admin-audit', '/admin/audit', 'Audit log'],
]

const sections = [
  { title: 'My account', links: accountLinks, holds: (item = '') => !item.startsWith('admin') },
  { title: 'Administration', links: adminLinks, holds: (item = '') => item.startsWith('admin') },
] as const

/** Small screens show the links of the section that is open, and one link to the other. */
const navSection = ({ title, links, holds }: (typeof sections)[number], current?: NavItem) =>
  holds(current)
    ? navLinks(links, current)
    : html`<a class="tabs-switch" href="${links[0]?.[1]}">${title}</a>${navLinks(links, current, 'tabs-away')}`

const navLinks = (links: readonly NavLink[], current: NavItem | undefined, className?: string) =>
  html`<ul${attributes({ class: className })}>
${links.map(
  ([item, href, text]) =>
    html`<li><a href="${href}"${attributes({ 'aria-current': item === current && 'page' })}>${text}</a></li>`,
)}
</ul>`

export interface Asset {
  readonly body: string
  readonly type: string
}

const store = new Map<string, Asset>()

/** Path -> file, for the route that serves them. */
export const assets: ReadonlyMap<string, Asset> = store

/** The stylesheet's parts, in the order in which they apply. */
const styles = ['ground', 'frame', 'controls', 'pieces', 'lists', 'pages', 'screens']

export const stylesheetPath = keep(
  'style.css',
  'text/css; charset=utf-8',
  styles.map((part) => read(`${part}.css`)).join('\n'),
)

/** Puts a button beside values to copy; without it they are selected by one press. */
const copyScriptPath = keep('copy.js', 'text/javascript; charset=utf-8', read('copy.js'))

const iconPath = keep('favicon.svg', 'image/svg+xml', read('favicon.svg'))

function read(file: string): string {
  return readFileSync(new URL(`./assets/${file}`, import.meta.url), 'utf8')
}

function keep(file: string, type: string, body: string): string {
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 16)
  const path = `/assets/${file.replace('.', `.${hash}.`)}`
  store.set(path, { body, type })
  return path
}

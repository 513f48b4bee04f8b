import { html } from 'hono/html'
import type { Offered } from '#/protocol/offered.ts'
import type { ClientStatus, clientTypes } from '#/protocol/vocabulary.ts'
import {
  actionMenu,
  badge,
  caution,
  confirmation,
  copyable,
  emptyState,
  fact,
  listItem,
  monogram,
  notice,
  outsideLink,
  pageHeading,
  postForm,
  type Tone,
} from '#/web/pages/components.ts'
import { attributes, type Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { oneTime } from '#/web/pages/one-time.ts'
import type { RefusedForm } from '#/web/pages/refused-form.ts'
import { renderTime } from '#/web/pages/times.ts'
import type { AdminPageProps } from '../page.ts'
import type { SentFilter } from './filter.ts'
import { clientForm } from './form.ts'

export interface ClientsPageProps extends AdminPageProps {
  /** Why an action was not taken. */
  readonly warning?: string
  /** Whether PKCE is asked of new clients unless the form says otherwise. */
  readonly requirePkce: boolean
  readonly offered: Offered
  /** Clients that are pending approval. */
  readonly pending: readonly ListedClient[]
  /** How many are pending, shown or not. */
  readonly pendingCount: number
  readonly clients: readonly ListedClient[]
  /** Address of the next page, if there is one. */
  readonly next?: string
  readonly sent: SentFilter
  readonly refused?: RefusedForm
}

export interface ListedClient {
  readonly clientId: string
  /** Changes with the client, so that a decision applies only to what was shown. */
  readonly version: string
  readonly name: string
  /** Warnings about the name. */
  readonly nameNotes?: readonly string[]
  readonly uri?: string | null
  readonly type: (typeof clientTypes)[number]
  /** Whether it has a secret that can be replaced. */
  readonly hasSecret: boolean
  readonly status: ClientStatus
  readonly redirectUris: readonly string[]
  readonly grantTypes: readonly string[]
  readonly scopes: readonly string[]
  readonly createdAt: Date
  readonly updatedAt: Date
  /** Settings by their name in RFC 7591 or ours. */
  readonly settings: Readonly<Record<string, unknown>>
}

/** The applications that people can sign in to. */
export function renderClientsPage(props: ClientsPageProps): Html {
  const { user, csrfToken, offered, clients, pending, refused, now = new Date() } = props
  const isSearch = Object.keys(props.sent).length > 0
  const empty = isSearch ? nothingFound : noClients
  const list = html`<ul class="card-list">${clients.map((client) => (client.status === 'pending' ? pendingCard : clientCard)(client, csrfToken, now))}</ul>`
  const lead = 'Applications that use this server.'
  const isFirst = clients.length === 0 && pending.length === 0 && !isSearch && !refused
  // What has to be corrected comes first.
  const { requirePkce } = props
  const form = clientForm({ csrfToken, open: isFirst, offered, refused, requirePkce })
  return renderPage(
    { title: 'Clients', user, csrfToken, nav: 'admin-clients', wide: true },
    html`${pageHeading('Clients', lead, searchForm(props.sent))}
${notice(props.notice)}
${props.warning && caution(props.warning)}
${refused && form}
${pending.length > 0 && waiting(props, now)}
${refused === undefined && form}
${clients.length > 0 ? list : (isFirst || isSearch) && empty}
${props.next && html`<p class="paging"><a class="button" href="${props.next}">Next page</a></p>`}`,
  )
}

const noClients = emptyState('apps', {
  title: 'No clients yet',
  text: 'Add the first application that uses this server.',
})

const nothingFound = emptyState('apps', {
  title: 'No clients found',
  text: 'No client with this status has this ID or a name that begins with this.',
  action: html`<p><a class="button" href="/admin/clients">Show all clients</a></p>`,
})

const searchForm = ({ search = '', status = '' }: SentFilter) =>
  html`<form class="search" role="search" method="get" action="/admin/clients">
<label class="visually-hidden" for="search">Name or client ID</label>
<input id="search" name="search" type="search" placeholder="Name or client ID" autocomplete="off" maxlength="100" value="${search}">
<label class="visually-hidden" for="status">Status</label>
<select id="status" name="status">${Object.entries({
    '': ['Active and disabled'],
    ...statuses,
  }).map(
    ([value, [text]]) =>
      html`<option${attributes({ value, selected: value === status })}>${text}</option>`,
  )}</select>
<button class="button">Search</button>
</form>`

/** Pending clients, with approve and reject on each card. */
const waiting = ({ pending, pendingCount, csrfToken }: ClientsPageProps, now: Date) =>
  html`<section class="waiting" aria-labelledby="waiting">
<h2 id="waiting">Pending approval</h2>
<p class="hint">Clients that registered themselves or have changed since they were approved. They cannot be used until you approve them.</p>
<ul class="card-list">${pending.map((client) => pendingCard(client, csrfToken, now))}</ul>
${pendingCount > pending.length && html`<p class="hint">Showing the oldest ${pending.length} of ${pendingCount}. <a href="/admin/clients?status=pending">Show all pending clients</a></p>`}
</section>`

const statuses: Readonly<Record<ClientStatus, readonly [string, Tone]>> = {
  active: ['Active', 'good'],
  pending: ['Pending', 'warn'],
  inactive: ['Disabled', 'bad'],
}

/** A client that is active or disabled. */
export function clientCard(client: ListedClient, csrfToken: string, now: Date): Html {
  return card(client, {
    heading: 'h2',
    action: clientMenu(client, csrfToken),
    last: fact('Created', renderTime(client.createdAt, now)),
  })
}

/** A client that is pending approval. */
export function pendingCard(client: ListedClient, csrfToken: string, now: Date): Html {
  const { clientId, name, version, updatedAt } = client
  const form = (verb: string, button: Html) =>
    postForm(
      { action: `/admin/clients/${encodeURIComponent(clientId)}/${verb}`, csrfToken },
      html`<input type="hidden" name="seen" value="${version}">${button}`,
    )
  const of = html`<span class="visually-hidden"> ${name}</span>`
  const action = html`<div class="decide">
${form('approve', html`<button class="button button-small button-primary">Approve${of}</button>`)}
${form('reject', html`<button class="button button-small">Reject${of}</button>`)}
</div>`
  const since = fact('Pending since', renderTime(updatedAt, now))
  return card(client, { heading: 'h3', action, last: since })
}

function card(
  client: ListedClient,
  { heading, action, last }: { heading: 'h2' | 'h3'; action: Html; last: Html },
): Html {
  const { clientId, name, uri, type, status, settings } = client
  const kind = badge(type === 'public' ? 'Public' : 'Confidential')
  const words = html`<a href="/admin/clients/${clientId}">${name}</a> ${badge(...statuses[status])} ${kind}`
  const title = html`${heading === 'h2' ? html`<h2>${words}</h2>` : html`<h3>${words}</h3>`}
<p class="item-note">Client ID <code class="selectable">${clientId}</code></p>`
  const uris = html`<ul>${client.redirectUris.map((uri) => html`<li><code>${uri}</code></li>`)}</ul>`
  return listItem(
    { tile: monogram(name), title, action },
    html`${client.nameNotes?.map((note) => caution(note))}
<dl class="facts facts-wide">
${uri && fact('Website', outsideLink(uri, uri))}
${fact('Redirect URIs', client.redirectUris.length > 0 ? uris : none)}
${fact('Scopes', chips(client.scopes))}
${fact('Grant types', chips(client.grantTypes.map((grantType) => grantType.replace(/^urn:.*:/, ''))))}
${last}
</dl>
<details class="all-settings">
<summary>All settings<span class="visually-hidden"> of ${name}</span></summary>
<dl>${Object.entries(settings).map(([field, value]) => setting(field, value))}</dl>
</details>`,
  )
}

const none = html`<span class="hint">None</span>`

const chips = (words: readonly string[]) =>
  words.length > 0
    ? html`<ul class="chips chips-code">${words.map((word) => html`<li>${word}</li>`)}</ul>`
    : none

const setting = (field: string, value: unknown) =>
  html`<div><dt><code>${field}</code></dt><dd><code>${shown(value)}</code></dd></div>`

function shown(value: unknown): string {
  if (typeof value === 'string') return value
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
  return isList ? value.join(' ') : JSON.stringify(value)
}

function clientMenu({ clientId, name, hasSecret, status }: ListedClient, csrfToken: string): Html {
  const to = (verb: string) => ({
    action: `/admin/clients/${encodeURIComponent(clientId)}/${verb}`,
    csrfToken,
  })
  return actionMenu({ label: 'Manage', of: name }, [
    html`<p class="menu-text">Change the name, redirect URIs, scopes and other settings.</p><a class="button" href="/admin/clients/${encodeURIComponent(clientId)}/edit">Edit client</a>`,
    hasSecret &&
      postForm(
        to('regenerate-secret'),
        html`<p class="menu-text">Generates a new secret, shown once. The old one stops working immediately.</p><button class="button">Regenerate secret</button>`,
      ),
    status === 'active'
      ? postForm(
          to('disable'),
          html`<p class="menu-text">Blocks sign-ins to ${name} and revokes its tokens.</p><button class="button button-danger">Disable client</button>`,
        )
      : postForm(
          to('enable'),
          html`<p class="menu-text">Allows sign-ins to ${name}.</p><button class="button">Enable client</button>`,
        ),
    confirmation(
      'Revoke all access…',
      postForm(
        to('revoke-all'),
        html`<p class="menu-text">Revokes all tokens and consents of ${name}. It stays active and can ask again.</p><button class="button button-danger">Revoke all access</button>`,
      ),
    ),
    confirmation(
      'Delete client…',
      postForm(
        to('delete'),
        html`<p class="menu-text">Deletes ${name} with its tokens and consents. This cannot be undone.</p><button class="button button-danger">Delete client</button>`,
      ),
    ),
  ])
}

export interface ClientEditPageProps extends AdminPageProps {
  readonly clientId: string
  readonly name: string
  readonly offered: Offered
  /** The version that is edited. */
  readonly seen: string
  readonly form: RefusedForm
}

/** Everything about a client that an operator can change. */
export function renderClientEditPage(props: ClientEditPageProps): Html {
  const { user, csrfToken, offered, clientId, name, seen, form } = props
  const lead =
    'Removing a scope, a resource or the refresh token grant immediately revokes the tokens that rely on it.'
  return renderPage(
    { title: `Edit ${name}`, user, csrfToken, nav: 'admin-clients', wide: true },
    html`${pageHeading(`Edit ${name}`, lead)}
${clientForm({ csrfToken, open: true, offered, refused: form, edited: { clientId, seen } })}
<p><a class="button" href="/admin/clients">Back to clients</a></p>`,
  )
}

export interface ClientSecretPageProps extends AdminPageProps {
  readonly clientId: string
  readonly name: string
  readonly nameNotes: readonly string[]
  /** Missing for clients that have none. */
  readonly clientSecret?: string
}

/** A client's credentials; the secret is shown this once. */
export function renderClientSecretPage(props: ClientSecretPageProps): Html {
  const { user, csrfToken, clientId, name, nameNotes, clientSecret } = props
  return renderPage(
    { title: `Credentials for ${name}`, user, csrfToken, nav: 'admin-clients' },
    html`${nameNotes.map((note) => caution(note))}
${oneTime({
  title: `Credentials for ${name}`,
  warning:
    clientSecret === undefined
      ? undefined
      : 'The secret is shown only once. Store it where the application keeps its secrets.',
  values: html`${copyable('Client ID', clientId)}${clientSecret === undefined ? '' : copyable('Client secret', clientSecret)}`,
  back: { href: '/admin/clients', text: 'Back to clients' },
})}`,
  )
}

import { html } from 'hono/html'
import type { liveTokensQuery } from '#/domain/tokens/list-live-tokens.ts'
import { storedTokenTypes } from '#/protocol/vocabulary.ts'
import {
  actionMenu,
  badge,
  disclosure,
  emptyState,
  notice,
  pageHeading,
  postForm,
  problem,
  selectField,
  textField,
} from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { renderTime } from '#/web/pages/times.ts'
import type { AdminPageProps } from '../page.ts'
import type { SentFilter } from './filter.ts'

type LiveToken = Awaited<ReturnType<typeof liveTokensQuery>>[number]

export interface TokensPageProps extends AdminPageProps {
  readonly tokens: readonly LiveToken[]
  readonly sent: SentFilter
  /** Address of the next page, if there is one. */
  readonly next?: string
  readonly problem?: string
}

/** The active tokens of all clients. */
export function renderTokensPage(props: TokensPageProps): Html {
  const { user, csrfToken, tokens, sent, next } = props
  const filtered = Object.keys(sent).length > 0
  const nothing = emptyState('key', {
    title: 'No active tokens',
    text: filtered ? 'No active tokens match these filters.' : 'No client holds an active token.',
    action: filtered ? html`<p><a class="button" href="/admin/tokens">Clear filters</a></p>` : '',
  })
  return renderPage(
    { title: 'Tokens', user, csrfToken, nav: 'admin-tokens', wide: true },
    html`${pageHeading('Tokens', 'Active tokens of all clients, latest expiry first.')}
${notice(props.notice)}
${problem(props.problem, 'filter-problem')}
${disclosure({ title: filtered ? 'Edit filters' : 'Filter', open: filtered }, filterForm(sent))}
${tokens.length > 0 ? tokenTable(props) : props.problem ? '' : nothing}
${next && html`<p class="paging"><a class="button" href="${next}">Next page</a></p>`}`,
  )
}

const filterForm = (sent: SentFilter) =>
  html`<form class="stack filter" method="get" action="/admin/tokens">
<div class="columns columns-narrow">
${textField({ name: 'user', label: 'User', value: sent.user, hint: 'Username or user ID', optional: true, verbatim: true, maxLength: 100 })}
${textField({ name: 'client', label: 'Client ID', value: sent.client, optional: true, verbatim: true, maxLength: 36 })}
${selectField({
  name: 'type',
  label: 'Type',
  ...(sent.type && { value: sent.type }),
  options: [
    { value: '', text: 'Any' },
    ...storedTokenTypes.map((value) => ({ value, text: words[value] })),
  ],
})}
</div>
<p><button class="button button-primary">Apply</button></p>
</form>`

const words = { access: 'Access token', refresh: 'Refresh token' } as const

const tokenTable = ({ tokens, csrfToken, now = new Date() }: TokensPageProps) =>
  html`<table class="card table">
<caption class="visually-hidden">Active tokens</caption>
<thead>
<tr>
<th scope="col">Client</th>
<th scope="col">User</th>
<th scope="col">Scopes</th>
<th scope="col">Issued</th>
<th scope="col">Expires</th>
<th scope="col"><span class="visually-hidden">Actions</span></th>
</tr>
</thead>
<tbody>${tokens.map((token) => tokenRow(token, { csrfToken, now }))}</tbody>
</table>`

function tokenRow(token: LiveToken, { csrfToken, now }: { csrfToken: string; now: Date }): Html {
  const { clientName, clientId, username, userId, familyId, scope, type } = token
  const whose =
    userId === null
      ? 'None (the client’s own)'
      : html`<a href="/admin/users/${userId}">${username ?? userId}</a>`
  const end = postForm(
    { action: `/admin/tokens/${familyId}/revoke`, csrfToken },
    html`<p class="menu-text">Revokes this token and all others from the same authorization.</p><button class="button button-danger">Revoke tokens</button>`,
  )
  return html`<tr>
<td data-label="Client"><p class="cell-title"><a href="/admin/clients/${clientId}">${clientName}</a></p><p class="cell-note">${badge(words[type])}</p></td>
<td data-label="User">${whose}</td>
<td data-label="Scopes">${scope || 'None'}</td>
<td data-label="Issued">${renderTime(token.createdAt, now)}</td>
<td data-label="Expires">${renderTime(token.expiresAt, now)}</td>
<td class="cell-action">${actionMenu({ label: 'Revoke tokens', of: clientName }, [end])}</td>
</tr>`
}

import { html } from 'hono/html'
import type { consentsOfClientQuery } from '#/domain/consents/consents-of-client.ts'
import { maxCounted } from '#/domain/entity-counts/count-access.ts'
import {
  actionMenu,
  caution,
  emptyState,
  fact,
  listItem,
  monogram,
  notice,
  pageHeading,
  postForm,
} from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { renderTime } from '#/web/pages/times.ts'
import type { AdminPageProps } from '../page.ts'
import { clientCard, type ListedClient, pendingCard } from './pages.ts'

export interface ClientPageProps extends AdminPageProps {
  readonly client: ListedClient
  readonly ownerId: string | null
  readonly held: { readonly tokens: number; readonly consents: number }
  readonly warning?: string
}

const some = (n: number) => (n > maxCounted ? `More than ${maxCounted}` : String(n))

/** One client: settings, tokens and consents. */
export function renderClientPage(props: ClientPageProps): Html {
  const { user, csrfToken, client, ownerId, held, now = new Date() } = props
  const { clientId, name, status } = client
  const card = (status === 'pending' ? pendingCard : clientCard)(client, csrfToken, now)
  return renderPage(
    { title: name, user, csrfToken, nav: 'admin-clients', wide: true },
    html`${pageHeading(name, 'Settings, active tokens and consents of this client.')}
${notice(props.notice)}
${props.warning && caution(props.warning)}
<section class="card padded"><dl class="facts">
${fact('Active tokens', html`<a href="/admin/tokens?client=${clientId}">${some(held.tokens)}</a>`)}
${fact('Consents', html`<a href="/admin/clients/${clientId}/authorizations">${some(held.consents)}</a>`)}
${ownerId !== null && fact('Owner', html`<a href="/admin/users/${ownerId}">The user who registered it</a>`)}
${fact('Audit log', html`<a href="/admin/audit?client=${clientId}">Events of this client</a>`)}
</dl></section>
<section class="holdings"><h2>Settings</h2><ul class="card-list">${card}</ul></section>
<p class="paging"><a class="button" href="/admin/clients">Back to clients</a></p>`,
  )
}

export interface ConsentsPageProps extends AdminPageProps {
  readonly clientId: string
  readonly name: string
  readonly consents: Awaited<ReturnType<typeof consentsOfClientQuery>>
  /** Address of the next page, if there is one. */
  readonly next?: string
}

/** The users who have given a client consent. */
export function renderConsentsPage(props: ConsentsPageProps): Html {
  const { user, csrfToken, clientId, name, consents, next, now = new Date() } = props
  const nobody = emptyState('people', {
    title: 'No consents',
    text: `Users who allow ${name} to use their account appear here.`,
  })
  const items = consents.map(({ id, userId, username, scope, grantedAt }) =>
    listItem(
      {
        tile: monogram(username),
        title: html`<h2><a href="/admin/users/${userId}">${username}</a></h2>`,
        action: actionMenu({ label: 'Revoke access', of: username }, [
          postForm(
            { action: `/admin/clients/${clientId}/authorizations/${id}/revoke`, csrfToken },
            html`<p class="menu-text">${name} loses access to the account of ${username} immediately, and has to ask again.</p><button class="button button-danger">Revoke access</button>`,
          ),
        ]),
      },
      html`<dl class="facts">${fact('Scopes', scope)}${fact('Granted', renderTime(grantedAt, now))}</dl>`,
    ),
  )
  return renderPage(
    { title: `Consents for ${name}`, user, csrfToken, nav: 'admin-clients', wide: true },
    html`${pageHeading(`Consents for ${name}`, 'Users who allowed it to use their account, newest first.')}
${notice(props.notice)}
${items.length > 0 ? html`<ul class="card-list">${items}</ul>` : nobody}
${next && html`<p class="paging"><a class="button" href="${next}">Next page</a></p>`}
<p class="paging"><a class="button" href="/admin/clients/${clientId}">Back to the client</a></p>`,
  )
}

import { html } from 'hono/html'
import type { Offered } from '#/protocol/offered.ts'
import type { ClientStatus } from '#/protocol/vocabulary.ts'
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
import type { Html } from '#/web/pages/html.ts'
import { type PageUser, renderPage } from '#/web/pages/layout.ts'
import { oneTime } from '#/web/pages/one-time.ts'
import type { RefusedForm } from '#/web/pages/refused-form.ts'
import { renderTime } from '#/web/pages/times.ts'
import { appForm } from './form.ts'

interface AppsFrame {
  readonly user: PageUser
  readonly csrfToken: string
  /** The moment that "3 minutes ago" is measured from. */
  readonly now: Date
  /** What has just happened. */
  readonly notice?: string
  /** What did not work, and why. */
  readonly warning?: string
}

interface ListedApp {
  readonly clientId: string
  readonly name: string
  readonly description: string
  readonly uri: string | null
  readonly status: ClientStatus
  readonly createdAt: Date
}

const statuses: Readonly<Record<ClientStatus, readonly [string, Tone, string]>> = {
  active: ['Approved', 'good', 'Users can sign in to it.'],
  pending: [
    'Pending approval',
    'warn',
    'An administrator has to approve it before it can be used.',
  ],
  inactive: ['Disabled', 'bad', 'An administrator has rejected or disabled it.'],
}

const register = html`<a class="button button-primary" href="/apps/new">Register an app</a>`

/** The user's own apps. */
export function renderAppsPage(props: AppsFrame & { apps: readonly ListedApp[] }): Html {
  const { user, csrfToken, apps, now } = props
  const empty = emptyState('apps', {
    title: 'No apps yet',
    text: 'Register an app. Users can sign in to it once it is approved.',
    action: register,
  })
  return renderPage(
    { title: 'My apps', user, csrfToken, nav: 'apps' },
    html`${pageHeading('My apps', 'Apps that you have registered.', apps.length > 0 ? register : '')}
${notice(props.notice)}
${apps.length > 0 ? html`<ul class="card-list">${apps.map((app) => appCard(app, now))}</ul>` : empty}`,
  )
}

const appCard = ({ clientId, name, description, status, createdAt }: ListedApp, now: Date) => {
  const [word, tone] = statuses[status]
  return listItem(
    {
      tile: monogram(name),
      title: html`<h2><a href="/apps/${clientId}">${name}</a> ${badge(word, tone)}</h2>`,
    },
    html`<dl class="facts">
${description && fact('Description', description)}
${fact('Registered', renderTime(createdAt, now))}
</dl>`,
  )
}

export const renderNewAppPage = (
  props: AppsFrame & { offered: Offered; refused?: RefusedForm },
): Html =>
  renderPage(
    { title: 'Register an app', user: props.user, csrfToken: props.csrfToken, nav: 'apps' },
    html`${pageHeading('Register an app', 'An administrator has to approve it before it can be used.')}
${appForm(props)}
${back('/apps', 'Back to my apps')}`,
  )

const back = (href: string, text: string) =>
  html`<p class="paging"><a class="button" href="${href}">${text}</a></p>`

interface ShownApp extends ListedApp {
  readonly hasSecret: boolean
  readonly redirectUris: readonly string[]
  readonly scopes: readonly string[]
}

/** One app without its secret, which cannot be shown again. */
export function renderAppPage(props: AppsFrame & { app: ShownApp }): Html {
  const { user, csrfToken, app, now } = props
  const { clientId, name, status } = app
  const [word, tone, text] = statuses[status]
  return renderPage(
    { title: name, user, csrfToken, nav: 'apps' },
    html`${pageHeading(name, text, badge(word, tone))}
${notice(props.notice)}
${props.warning && caution(props.warning)}
<ul class="card-list">${listItem(
      {
        tile: monogram(name),
        title: html`<h2>${outsideLink(app.uri ?? undefined, name)}</h2>
<p class="item-note">Client ID <code class="selectable">${clientId}</code></p>`,
        action: appMenu(app, csrfToken),
      },
      html`<dl class="facts">
${app.description && fact('Description', app.description)}
${fact('Redirect URIs', codes(app.redirectUris))}
${fact('Scopes', codes(app.scopes))}
${fact('Registered', renderTime(app.createdAt, now))}
</dl>`,
    )}</ul>
${back('/apps', 'Back to my apps')}`,
  )
}

const codes = (values: readonly string[]) =>
  values.length > 0
    ? html`<ul>${values.map((value) => html`<li><code>${value}</code></li>`)}</ul>`
    : html`<span class="hint">None</span>`

const appMenu = ({ clientId, name, hasSecret }: ShownApp, csrfToken: string) => {
  const to = (verb: string) => ({ action: `/apps/${clientId}/${verb}`, csrfToken })
  return actionMenu({ label: 'Manage', of: name }, [
    html`<p class="menu-text">Change the name, redirect URIs and scopes.</p><a class="button" href="/apps/${clientId}/edit">Edit app</a>`,
    hasSecret &&
      confirmation(
        'Regenerate secret…',
        postForm(
          to('regenerate-secret'),
          html`<p class="menu-text">Generates a new secret, shown once. The old one stops working immediately.</p><button class="button">Regenerate secret</button>`,
        ),
      ),
    confirmation(
      'Delete app…',
      postForm(
        to('delete'),
        html`<p class="menu-text">Deletes ${name} with its tokens and consents. This cannot be undone.</p><button class="button button-danger">Delete app</button>`,
      ),
    ),
  ])
}

interface AppEditPageProps extends AppsFrame {
  readonly clientId: string
  readonly name: string
  readonly status: ClientStatus
  /** The version that is edited. */
  readonly seen: string
  readonly offered: Offered
  readonly form: RefusedForm
}

export function renderAppEditPage(props: AppEditPageProps): Html {
  const { user, csrfToken, offered, clientId, name, status, seen, form } = props
  const lead =
    status === 'active'
      ? 'Changing anything but the description requires a new approval. Until then the app cannot be used, and its tokens are revoked.'
      : statuses[status][2]
  return renderPage(
    { title: `Edit ${name}`, user, csrfToken, nav: 'apps' },
    html`${pageHeading(`Edit ${name}`, lead)}
${appForm({ csrfToken, offered, refused: form, edited: { clientId, seen } })}
${back(`/apps/${clientId}`, 'Back to the app')}`,
  )
}

interface AppSecretPageProps extends AppsFrame {
  readonly clientId: string
  readonly name: string
  readonly isPending: boolean
  /** Missing for apps that have none. */
  readonly clientSecret?: string
}

/** An app's credentials; the secret is shown this once. */
export function renderAppSecretPage(props: AppSecretPageProps): Html {
  const { user, csrfToken, clientId, name, isPending, clientSecret } = props
  return renderPage(
    { title: `Credentials for ${name}`, user, csrfToken, nav: 'apps' },
    html`${oneTime({
      title: `Credentials for ${name}`,
      warning:
        clientSecret === undefined
          ? undefined
          : 'The secret is shown only once. Store it where the app keeps its secrets.',
      values: html`${copyable('Client ID', clientId)}${clientSecret === undefined ? '' : copyable('Client secret', clientSecret)}`,
      back: { href: `/apps/${clientId}`, text: 'Back to the app' },
    })}
${isPending && html`<p class="aside-note">${statuses.pending[2]}</p>`}`,
  )
}

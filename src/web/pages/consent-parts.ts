/** What every page shows that asks a person for consent, whichever way the request came. */
import { html } from 'hono/html'
import type { AccessDuration } from '#/domain/tokens/lifetimes.ts'
import { type ClientBranding, clientTile } from './client-branding.ts'
import { badge, monogram, postForm } from './components.ts'
import type { Html } from './html.ts'
import { gateMark, icons } from './icons.ts'
import type { DescribedScope } from './scope-descriptions.ts'
import { formatDuration } from './times.ts'

/** Logos of app and server, and what the app requests. */
export const consentHeading = (client: ClientBranding, title: Html): Html =>
  html`<div class="alone-heading">
<div class="consent-hero">
${clientTile(client)}
<span class="consent-link" aria-hidden="true"></span>
${gateMark()}
</div>
<h1>${title}</h1>
</div>`

/** The current account, with links to switch it and to sign out. */
export const accountBox = ({
  user,
  switchAccountHref,
  csrfToken,
}: {
  readonly csrfToken: string
  readonly user: { readonly username: string }
  readonly switchAccountHref: string
}): Html =>
  html`<div class="consent-account">
${monogram(user.username)}
<div>
<p>Signed in as <strong>${user.username}</strong></p>
<a href="${switchAccountHref}">Use another account</a>
</div>
${postForm({ action: '/logout', csrfToken }, html`<button class="button button-quiet button-small">Sign out</button>`)}
</div>`

/** How long the access lasts. */
const lastingNote = ({ accessMs, refreshMs, endsWithSession }: AccessDuration): Html => {
  const access = formatDuration(accessMs)
  if (refreshMs !== undefined)
    return html`<p class="consent-note">Access lasts up to ${formatDuration(refreshMs)}, even while you are away; each token lasts about ${access}.</p>`
  const until = endsWithSession && ', or until you sign out'
  return html`<p class="consent-note">Access lasts about ${access}${until || ''}.</p>`
}

export interface Permissions {
  readonly scopes: readonly DescribedScope[]
  /** RFC 8707: where the access is for. */
  readonly resources: readonly string[]
  readonly lasting: AccessDuration
  /** Names of scopes that this client already has from this user. */
  readonly alreadyGranted?: readonly string[]
}

/** What the app may do once it is allowed. */
export const permissionList = ({
  scopes,
  resources,
  lasting,
  alreadyGranted = [],
}: Permissions): Html =>
  html`<h2 class="small-heading">If you allow it, this app can</h2>
<ul class="scope-list">${scopes.map(
    ({ name, title, detail }) =>
      html`<li>
${icons.check()}
<div>
<p class="scope-title">${title} ${alreadyGranted.includes(name) && badge('Already allowed')}</p>
<p class="hint">${detail}</p>
</div>
</li>`,
  )}</ul>
${resources.length > 0 && resourceList(resources)}
${lastingNote(lasting)}`

const resourceList = (resources: readonly string[]) =>
  html`<h2 class="small-heading">Where</h2>
<ul class="resource-list">${resources.map((resource) => html`<li class="host">${resource}</li>`)}</ul>`

/** The two answers, of one form; `fields` says what is answered. */
export const consentButtons = (fields: Html): Html =>
  html`${fields}
<button class="button button-primary" name="action" value="approve">Allow</button>
<button class="button" name="action" value="deny">Don’t allow</button>`

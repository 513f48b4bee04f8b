import { html } from 'hono/html'
import { badge, monogram, outsideLink, postForm } from '#/web/components.ts'
import type { Html } from '#/web/html.ts'
import { gateMark, icons } from '#/web/icons.ts'
import { renderPage } from '#/web/layout.ts'
import type { DescribedScope } from '#/web/scope-words.ts'

export interface ConsentPageProps {
  readonly csrfToken: string
  /** The stored authorization request that the answer belongs to. */
  readonly requestId: string
  readonly client: {
    readonly name: string
    readonly uri?: string | undefined
    readonly redirectHost: string
  }
  readonly user: { readonly username: string }
  readonly scopes: readonly DescribedScope[]
  /** Names of scopes that this client already has from this user. */
  readonly alreadyGranted: readonly string[]
  readonly switchAccountHref: string
}

/** Asks a signed-in person whether an app may have what it asks for. */
export function renderConsentPage(props: ConsentPageProps): Html {
  const { client, csrfToken, requestId } = props
  const answer = postForm(
    { action: '/oauth/authorize', csrfToken, className: 'consent-answer' },
    html`<input type="hidden" name="authorization_request" value="${requestId}">
<button class="button button-primary" name="action" value="approve">Allow</button>
<button class="button" name="action" value="deny">Don’t allow</button>`,
  )
  return renderPage(
    { title: `Allow ${client.name}?` },
    html`<section class="card card-alone">
${heading(client)}
${account(props)}
<h2 class="small-heading">If you allow it, this app can</h2>
${scopeList(props)}
${answer}
<p class="consent-note">Afterwards you go to <strong class="host">${destination(client.redirectHost)}</strong>.</p>
<p class="consent-note">You can take this back at any time under “Apps with access”.</p>
</section>`,
  )
}

const heading = ({ name, uri }: ConsentPageProps['client']) =>
  html`<div class="alone-heading">
<div class="consent-hero">
${monogram(name, 'large')}
<span class="consent-link" aria-hidden="true"></span>
${gateMark()}
</div>
<h1>${outsideLink(uri, name)} wants to use your account</h1>
</div>`

const account = ({ user, switchAccountHref }: ConsentPageProps) =>
  html`<div class="consent-account">
${monogram(user.username)}
<div>
<p>Signed in as <strong>${user.username}</strong></p>
<a href="${switchAccountHref}">Use another account</a>
</div>
</div>`

const scopeList = ({ scopes, alreadyGranted }: ConsentPageProps) =>
  html`<ul class="scope-list">${scopes.map(
    ({ name, title, detail }) =>
      html`<li>
${icons.check()}
<div>
<p class="scope-title">${title} ${alreadyGranted.includes(name) && badge('Allowed before')}</p>
<p class="hint">${detail}</p>
</div>
</li>`,
  )}</ul>`

/** Where a loopback address leads is better said than shown. */
const destination = (host: string) =>
  /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host) ? `an app on this device (${host})` : host

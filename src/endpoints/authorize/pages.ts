import { html } from 'hono/html'
import { badge, monogram, outsideLink, postForm } from '#/web/components.ts'
import type { Html } from '#/web/html.ts'
import { gateMark, icons } from '#/web/icons.ts'
import { renderPage } from '#/web/layout.ts'
import type { DescribedScope } from '#/web/scope-words.ts'

interface CommonProps {
  readonly csrfToken: string
  /** The stored authorization request that the answer belongs to. */
  readonly requestId: string
  readonly client: { readonly name: string }
  readonly user: { readonly username: string }
  readonly switchAccountHref: string
}

export interface ConsentPageProps extends CommonProps {
  readonly client: {
    readonly name: string
    readonly uri?: string | undefined
    readonly redirectHost: string
  }
  readonly scopes: readonly DescribedScope[]
  /** RFC 8707: where the access is for. */
  readonly resources: readonly string[]
  /** Names of scopes that this client already has from this user. */
  readonly alreadyGranted: readonly string[]
}

/** Asks a signed-in person whether an app may have what it asks for. */
export function renderConsentPage(props: ConsentPageProps): Html {
  const { client, resources } = props
  return renderPage(
    { title: `Allow ${client.name}?` },
    html`<section class="card card-alone">
${heading(props)}
${account(props)}
<h2 class="small-heading">If you allow it, this app can</h2>
${scopeList(props)}
${resources.length > 0 && resourceList(resources)}
${consentForm(props)}
<p class="consent-note">Afterwards you go to <strong class="host">${destination(client.redirectHost)}</strong>.</p>
<p class="consent-note">You can take this back at any time under “Apps with access”.</p>
</section>`,
  )
}

/** Asks who wants to go on: the person who is signed in, or somebody else. */
export function renderAccountPage(props: CommonProps): Html {
  const { csrfToken, client, user, switchAccountHref } = props
  const goOn = postForm(
    { action: '/oauth/authorize', csrfToken, className: 'consent-answer' },
    html`${requestField(props)}
<button class="button account-choice" name="action" value="continue">
${monogram(user.username)}
<span>Continue as <strong>${user.username}</strong></span>
</button>
<a class="button" href="${switchAccountHref}">Use another account</a>`,
  )
  return renderPage(
    { title: `Choose an account for ${client.name}` },
    html`<section class="card card-alone">
<div class="alone-heading">
<h1>Choose an account</h1>
<p class="lead">to continue to <strong>${client.name}</strong></p>
</div>
${goOn}
</section>`,
  )
}

const requestField = ({ requestId }: CommonProps) =>
  html`<input type="hidden" name="authorization_request" value="${requestId}">`

const consentForm = (props: ConsentPageProps) =>
  postForm(
    { action: '/oauth/authorize', csrfToken: props.csrfToken, className: 'consent-answer' },
    html`${requestField(props)}
<button class="button button-primary" name="action" value="approve">Allow</button>
<button class="button" name="action" value="deny">Don’t allow</button>`,
  )

const heading = ({ client: { name, uri } }: ConsentPageProps) =>
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

const resourceList = (resources: readonly string[]) =>
  html`<h2 class="small-heading">At</h2>
<ul class="resource-list">${resources.map((resource) => html`<li class="host">${resource}</li>`)}</ul>`

/** Where a loopback address leads is better said than shown. */
const destination = (host: string) =>
  /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host) ? `an app on this device (${host})` : host

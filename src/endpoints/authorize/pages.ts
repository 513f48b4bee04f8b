import { html } from 'hono/html'
import { type ClientBranding, clientHistory, clientTerms } from '#/web/pages/client-branding.ts'
import { caution, monogram, outsideLink, postForm } from '#/web/pages/components.ts'
import {
  accountBox,
  consentButtons,
  consentHeading,
  type Permissions,
  permissionList,
} from '#/web/pages/consent-parts.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'

interface CommonProps {
  readonly csrfToken: string
  readonly notice?: string | undefined
  /** The stored authorization request that the answer belongs to. */
  readonly requestId: string
  readonly client: { readonly name: string }
  readonly user: { readonly username: string }
  readonly switchAccountHref: string
}

export interface ConsentPageProps extends CommonProps, Permissions {
  readonly client: ClientBranding & { readonly redirectHost: string }
}

/** Asks a signed-in person whether an app may have what it asks for. */
export function renderConsentPage(props: ConsentPageProps): Html {
  const { client } = props
  return renderPage(
    { title: `Allow ${client.name}?` },
    html`<section class="card card-alone">
${props.notice && caution(props.notice)}
${consentHeading(client, html`${outsideLink(client.uri, client.name)} wants to use your account`)}
${accountBox(props)}
${permissionList(props)}
${consentForm(props)}
<p class="consent-note">You will be sent to <strong class="host">${destination(client.redirectHost)}</strong>.</p>
${clientHistory(client)}
${clientTerms(client)}
<p class="consent-note">You can revoke access at any time under “Apps with access”.</p>
</section>`,
  )
}

/** Lets the user continue with the current account or choose another. */
export function renderAccountPage(props: CommonProps): Html {
  const { csrfToken, client, user, switchAccountHref } = props
  const goOn = postForm(
    { action: '/oauth/authorize', csrfToken, className: 'stack' },
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
${props.notice && caution(props.notice)}
${goOn}
</section>`,
  )
}

const requestField = ({ requestId }: CommonProps) =>
  html`<input type="hidden" name="authorization_request" value="${requestId}">`

const consentForm = (props: ConsentPageProps) =>
  postForm(
    { action: '/oauth/authorize', csrfToken: props.csrfToken, className: 'consent-answer' },
    consentButtons(requestField(props)),
  )

/** Where a loopback address leads is better said than shown. */
const destination = (host: string) =>
  /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host) ? `an app on this device (${host})` : host

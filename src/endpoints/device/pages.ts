/** The pages on which a person answers a device. */
import { html } from 'hono/html'
import { type ClientBranding, clientHistory, clientTerms } from '#/web/pages/client-branding.ts'
import {
  badge,
  caution,
  fact,
  outsideLink,
  postForm,
  problem,
  textField,
} from '#/web/pages/components.ts'
import {
  accountBox,
  consentButtons,
  consentHeading,
  type Permissions,
  permissionList,
} from '#/web/pages/consent-parts.ts'
import type { Html } from '#/web/pages/html.ts'
import { icons } from '#/web/pages/icons.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { renderTime } from '#/web/pages/times.ts'

export interface CodePageProps {
  readonly csrfToken: string
  readonly user: { readonly username: string }
  /** What stands in the field. */
  readonly value?: string | undefined
  /** Whether the code came with the address instead of being typed. */
  readonly prefilled: boolean
  readonly refused: boolean
  readonly warning?: string | undefined
  readonly switchAccountHref: string
}

/** Asks for the code that the device shows. */
export function renderCodePage(props: CodePageProps): Html {
  const { csrfToken, value, prefilled, refused } = props
  const lead = prefilled
    ? 'Check that your device shows exactly this code.'
    : 'Enter the code shown on your device.'
  const field = textField({
    name: 'user_code',
    label: 'Code',
    value,
    autocomplete: 'off',
    autofocus: !prefilled,
    maxLength: 20,
    verbatim: true,
    invalidBecause: refused ? 'code-problem' : undefined,
  })
  const form = postForm(
    { action: '/device/verify', csrfToken, className: 'stack code-entry' },
    html`${field}<button class="button button-primary button-block">Continue</button>`,
  )
  const wrong =
    'This code is invalid, expired or already used. Check it, or get a new code on your device.'
  return renderPage(
    { title: 'Connect a device' },
    html`<section class="card card-alone">
<div class="alone-heading">
<h1>Connect a device</h1>
<p class="lead">${lead}</p>
</div>
${props.warning && caution(props.warning)}
${problem(refused ? wrong : undefined, 'code-problem')}
${form}
<div class="account-below">${accountBox(props)}</div>
</section>
<p class="alone-note">Did someone send you a link or a code? Close this page: continuing would give them access to your account.</p>`,
  )
}

export interface ConfirmPageProps extends Permissions {
  readonly csrfToken: string
  readonly userCode: string
  /** The row that is answered. */
  readonly id: string
  readonly client: ClientBranding
  readonly user: { readonly username: string }
  readonly origin: {
    readonly ip: string
    /** Whether it is the network that the person is in now. */
    readonly isNear: boolean
    readonly requester: string
    readonly at: Date
  }
  readonly now: Date
  readonly switchAccountHref: string
}

/** Shows who asks for what, and from where, before anything is allowed (RFC 8628 §5.4). */
export function renderConfirmPage(props: ConfirmPageProps): Html {
  const { client, csrfToken, userCode, id } = props
  const answer = postForm(
    { action: '/device/decide', csrfToken, className: 'consent-answer' },
    consentButtons(html`<input type="hidden" name="request" value="${id}">
<input type="hidden" name="user_code" value="${userCode}">`),
  )
  return renderPage(
    { title: `Connect ${client.name}?` },
    html`<section class="card card-alone">
${consentHeading(client, html`${outsideLink(client.uri, client.name)} wants to use your account on another device`)}
<div class="code-compare">
<p>Your device must show this code</p>
<p class="user-code">${userCode}</p>
</div>
${caution('Continue only if you started this yourself. If someone sent you a link or a code, allowing this gives them access to your account.')}
${accountBox(props)}
<h2 class="small-heading">About this request</h2>
${whereFrom(props)}
${permissionList(props)}
${answer}
${clientHistory(client)}
${clientTerms(client)}
<p class="consent-note">You can revoke access at any time under “Apps with access”.</p>
</section>`,
  )
}

function whereFrom({ origin, now }: ConfirmPageProps): Html {
  const near = origin.isNear ? badge('Your network', 'good') : badge('Not your network', 'warn')
  return html`<dl class="facts facts-rows">
${fact('Requested by', origin.requester)}
${fact('IP address', html`${origin.ip} ${near}`)}
${fact('Time', renderTime(origin.at, now))}
</dl>`
}

export interface AnsweredPageProps {
  readonly action: 'approve' | 'deny'
  readonly client: { readonly name: string }
}

/** The result of the answer. */
export const renderAnsweredPage = ({ action, client }: AnsweredPageProps): Html =>
  action === 'approve'
    ? outcome('check', {
        title: `${client.name} is connected`,
        text: 'Return to your device. It continues in a few seconds. You can close this page.',
        link: html`<a class="button" href="/account/authorizations">Show apps with access</a>`,
      })
    : outcome('alert', {
        title: `${client.name} was not connected`,
        text: 'Nothing was shared, and the code no longer works. You can close this page.',
        link: html`<a class="button" href="/account/devices">Go to your account</a>`,
      })

/** Shown when the request is no longer pending, for whatever reason. */
export const renderTooLatePage = (): Html =>
  outcome('alert', {
    title: 'This request is no longer valid',
    text: 'It was already answered or has expired. If your device is still waiting, get a new code on it.',
    link: html`<a class="button" href="/device">Enter another code</a>`,
  })

const outcome = (
  icon: 'check' | 'alert',
  { title, text, link }: { title: string; text: string; link: Html },
) =>
  renderPage(
    { title },
    html`<section class="card card-alone outcome">
<span class="outcome-icon outcome-${icon}">${icons[icon]()}</span>
<h1>${title}</h1>
<p class="lead">${text}</p>
<p>${link}</p>
</section>`,
  )

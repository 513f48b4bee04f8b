import { html } from 'hono/html'
import { type ClientBranding, clientTerms, clientTile } from '#/web/pages/client-branding.ts'
import { caution, choice, notice, postForm, problem, textField } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'

export interface LoginPageProps {
  readonly csrfToken: string
  /** Names this form, so that it counts once however often it is sent. */
  readonly submission: string
  /** Where the sign-in leads: a path of ours, checked by the caller. */
  readonly redirect: string
  readonly username?: string
  readonly rememberMeEnabled: boolean
  readonly error?: string
  readonly notice?: string
  readonly warning?: string
  /** Identity providers to sign in with. */
  readonly providers: readonly {
    readonly source: string
    readonly title: string
    readonly openid: boolean
  }[]
  /** Whether those sign-ins are to last. */
  readonly remember: boolean
  /** Whether the client requires the time of authentication, which not every provider can report. */
  readonly mustProve?: boolean
  /** The client that sent the person here, if any. */
  readonly client?: ClientBranding
}

/** The sign-in page. */
export function renderLoginPage(props: LoginPageProps): Html {
  const { client } = props
  const lead = client
    ? html`to continue to <strong>${client.name}</strong>`
    : 'to manage your account and devices'
  const form = postForm(
    { action: '/login', csrfToken: props.csrfToken, className: 'stack' },
    credentials(props),
  )
  return renderPage(
    { title: client ? `Sign in to continue to ${client.name}` : 'Sign in' },
    html`<section class="card card-alone">
<div class="alone-heading">
${client?.logoUri !== undefined && clientTile(client)}
<h1>Sign in</h1>
<p class="lead">${lead}</p>
</div>
${notice(props.notice)}
${props.warning && caution(props.warning)}
${problem(props.error, 'login-error')}
${form}
${props.providers.length > 0 && otherWays(props)}
${client && clientTerms(client)}
</section>
<p class="alone-note">Before you type your password, check that the address bar shows the site you expect.</p>`,
  )
}

/** Links, not a form: a form's CSP would have to allow every address that a provider may lead on to. */
function otherWays(props: LoginPageProps): Html {
  const { redirect, remember, rememberMeEnabled, client, mustProve = false } = props
  const providers = props.providers.filter(({ openid }) => openid || !mustProve)
  const silent = props.providers.filter((provider) => !providers.includes(provider))
  const query = (lasting: boolean) =>
    new URLSearchParams({ redirect, ...(lasting && { remember_me: '1' }) })
  const links = providers.map(
    ({ source, title }) =>
      html`<li><a class="button button-block" href="/auth/login/${source}?${query(remember)}">Continue with ${title}</a></li>`,
  )
  const lasting = remember
    ? html`You will stay signed in on this device. <a href="/login?${query(false)}">Don’t keep me signed in</a>`
    : html`<a href="/login?${query(true)}">Keep me signed in this way, too</a>`
  return html`<section class="elsewhere" aria-labelledby="other-ways">
<h2 id="other-ways" class="hint">Or sign in without a password</h2>
${links.length > 0 && html`<ul class="elsewhere-links">${links}</ul>`}
${silent.length > 0 && html`<p class="hint">${client?.name ?? 'The app'} requires a recent sign-in, which ${silent.map(({ title }) => title).join(' or ')} cannot confirm.</p>`}
${rememberMeEnabled && links.length > 0 && html`<p class="hint">${lasting}</p>`}
</section>`
}

function credentials({
  redirect,
  submission,
  username = '',
  error,
  rememberMeEnabled,
  remember: lasting,
}: LoginPageProps): Html {
  const invalidBecause = error ? 'login-error' : undefined
  const name = textField({
    name: 'username',
    label: 'Username',
    value: username,
    autocomplete: 'username',
    autofocus: username === '',
    verbatim: true,
    invalidBecause,
  })
  const password = textField({
    name: 'password',
    label: 'Password',
    type: 'password',
    autocomplete: 'current-password',
    autofocus: username !== '',
    invalidBecause,
  })
  const remember = choice({
    name: 'remember_me',
    value: '1',
    label: 'Keep me signed in on this device',
    detail: 'Do not use this on a shared device.',
    checked: lasting,
  })
  return html`<input type="hidden" name="redirect" value="${redirect}">
<input type="hidden" name="submission" value="${submission}">
${name}
${password}
${rememberMeEnabled && remember}
<button class="button button-primary button-block">Sign in</button>`
}

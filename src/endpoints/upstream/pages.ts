import { html } from 'hono/html'
import type { UpstreamResult } from '#/protocol/vocabulary.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'

type Refused = Exclude<
  UpstreamResult,
  'success' | 'registered' | 'linked' | 'rate_limited' | 'error'
>

interface Words {
  readonly status: 400 | 403 | 409 | 502 | 503
  readonly title: string
  readonly text: (provider: string) => string
}

const unclear: Words = {
  status: 502,
  title: 'Sign-in failed',
  text: (provider) => `Your identity could not be confirmed with ${provider}. Please try again.`,
}

/** Texts for users. None of them comes from a provider. */
const words: Readonly<Record<Refused, Words>> = {
  bad_state: {
    status: 400,
    title: 'This sign-in has expired',
    text: () =>
      'It was started in another browser, took too long, or was already used. Please start again, with cookies enabled.',
  },
  wrong_issuer: unclear,
  access_denied: {
    status: 403,
    title: 'You were not signed in',
    text: (provider) => `${provider} reports that you or your administrator denied access.`,
  },
  unavailable: {
    status: 503,
    title: 'Temporarily unavailable',
    text: (provider) => `${provider} cannot sign you in at the moment. Please try again later.`,
  },
  provider_error: {
    status: 502,
    title: 'Sign-in failed',
    text: (provider) =>
      `${provider} did not accept our request. If this keeps happening, contact an administrator.`,
  },
  exchange_failed: unclear,
  invalid_id_token: unclear,
  profile_failed: unclear,
  registration_off: {
    status: 403,
    title: 'You have no account here',
    text: () => 'Accounts are created by an administrator. Ask for one, then sign in again.',
  },
  email_missing: {
    status: 403,
    title: 'Your email address is missing',
    text: (provider) =>
      `An account needs an email address, and ${provider} did not share yours. Add or share it there, then try again.`,
  },
  email_taken: {
    status: 409,
    title: 'You may already have an account',
    text: (provider) =>
      `An account here already uses the email address of your ${provider} account. Sign in to it as you usually do.`,
  },
  already_linked: {
    status: 409,
    title: 'Already linked to another account',
    text: (provider) =>
      `Your ${provider} account is linked to another account here. Remove that link first.`,
  },
  account_inactive: {
    status: 403,
    title: 'Your account is disabled',
    text: () => 'Contact an administrator if you think this is a mistake.',
  },
}

export const securityPath = '/account/security'

/** The step between our form and the provider: a link goes where a form may not (CSP form-action). */
export const renderOnwardPage = ({ provider, href }: { provider: string; href: string }): Html =>
  renderPage(
    { title: `Continue at ${provider}` },
    html`<section class="card card-alone error-page">
<h1>Continue at ${provider}</h1>
<p class="error-message">Sign in there to link that account to yours.</p>
<p><a class="button button-primary" href="${href}">Continue to ${provider}</a></p>
<p><a href="${securityPath}">Cancel</a></p>
</section>`,
  )

/** Why a sign-in through a provider ended here, and the way back. */
export function renderRefusedPage(
  result: Refused,
  {
    provider,
    redirect,
    linking = false,
  }: { provider: string; redirect: string | undefined; linking?: boolean },
): { readonly page: Html; readonly status: Words['status'] } {
  const { status, title, text } = words[result]
  const signIn = redirect === undefined ? '/login' : `/login?${new URLSearchParams({ redirect })}`
  const [back, where] = linking
    ? [securityPath, 'Back to your account']
    : [signIn, 'Back to sign in']
  const page = renderPage(
    { title },
    html`<section class="card card-alone error-page">
<h1>${title}</h1>
<p class="error-message">${text(provider)}</p>
<p><a class="button button-primary" href="${back}">${where}</a></p>
</section>`,
  )
  return { page, status }
}

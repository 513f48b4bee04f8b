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
  title: 'That did not work',
  text: (provider) => `We could not make sure who you are at ${provider}. Please try again.`,
}

/** What people are told. Nothing here was written by a provider. */
const words: Readonly<Record<Refused, Words>> = {
  bad_state: {
    status: 400,
    title: 'This sign-in is over',
    text: () =>
      'It was begun in another browser, took too long, or was already used. Please start again. Cookies must be allowed.',
  },
  wrong_issuer: unclear,
  access_denied: {
    status: 403,
    title: 'You were not signed in',
    text: (provider) => `${provider} says that you, or your administrator, did not allow it.`,
  },
  unavailable: {
    status: 503,
    title: 'Out of reach right now',
    text: (provider) => `${provider} cannot sign you in at the moment. Please try again later.`,
  },
  provider_error: {
    status: 502,
    title: 'That did not work',
    text: (provider) =>
      `${provider} did not accept our request. If it happens again, tell an administrator.`,
  },
  exchange_failed: unclear,
  invalid_id_token: unclear,
  profile_failed: unclear,
  registration_off: {
    status: 403,
    title: 'You have no account here',
    text: () => 'New accounts are made by an administrator. Ask for one, then sign in again.',
  },
  email_missing: {
    status: 403,
    title: 'Your e-mail address is missing',
    text: (provider) =>
      `An account needs an e-mail address, and ${provider} did not tell us yours. Add one there, or let us see it, and try again.`,
  },
  email_taken: {
    status: 409,
    title: 'You may have an account already',
    text: (provider) =>
      `An account here has the e-mail address that you have at ${provider}. Sign in to it as you usually do.`,
  },
  already_linked: {
    status: 409,
    title: 'That is linked to another account',
    text: (provider) =>
      `The account that you have at ${provider} opens another account here. Remove it there first.`,
  },
  account_inactive: {
    status: 403,
    title: 'Your account is disabled',
    text: () => 'Ask an administrator if you think that this is a mistake.',
  },
}

export const securityPath = '/account/security'

/** The step between our form and the provider: a link goes where a form may not (CSP form-action). */
export const renderOnwardPage = ({ provider, href }: { provider: string; href: string }): Html =>
  renderPage(
    { title: `Continue at ${provider}` },
    html`<section class="card card-alone error-page">
<h1>Continue at ${provider}</h1>
<p class="error-message">Sign in there to link it to your account here.</p>
<p><a class="button button-primary" href="${href}">Continue to ${provider}</a></p>
<p><a href="${securityPath}">Rather not</a></p>
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

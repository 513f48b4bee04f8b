import { html } from 'hono/html'
import { monogram, postForm } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { gateMark } from '#/web/pages/icons.ts'
import { type PageUser, renderPage } from '#/web/pages/layout.ts'

export interface SignOutPageProps {
  readonly user: PageUser
  readonly csrfToken: string
  /** The application that sent the browser here, where it said so. */
  readonly clientName: string | undefined
  /** What comes back with the answer. */
  readonly fields: Readonly<Record<string, string | undefined>>
}

/** Asks whether to sign out here, too: a link on any site may lead to this page. */
export function renderSignOutPage({ user, csrfToken, clientName, fields }: SignOutPageProps): Html {
  const hidden = Object.entries(fields).map(([name, value]) =>
    value === undefined ? '' : html`<input type="hidden" name="${name}" value="${value}">`,
  )
  const answer = postForm(
    { action: '/oauth/logout/answer', csrfToken, className: 'consent-answer' },
    html`${hidden}
<button class="button button-primary" name="action" value="sign_out">Sign out</button>
<button class="button" name="action" value="stay">Stay signed in</button>`,
  )
  const asker = clientName === undefined ? 'A page' : html`<strong>${clientName}</strong>`
  return renderPage(
    { title: 'Sign out?' },
    html`<section class="card card-alone">
<div class="alone-heading">${gateMark()}<h1>Sign out?</h1></div>
<div class="consent-account">
${monogram(user.username)}
<div><p>Signed in as <strong>${user.username}</strong></p></div>
</div>
<p class="consent-note">${asker} wants to sign you out here, too. After that, every app will ask you to sign in again.</p>
${answer}
</section>`,
  )
}

/** Where a sign-out ends that leads nowhere else. */
export const renderSignedOutPage = (): Html =>
  renderPage(
    { title: 'Signed out' },
    html`<section class="card card-alone">
<div class="alone-heading">${gateMark()}<h1>You are signed out</h1></div>
<p class="consent-note">Your session in this browser has ended.</p>
<p><a class="button" href="/login">Sign in again</a></p>
</section>`,
  )

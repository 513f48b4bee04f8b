/** /account/password: a user who signed in with a temporary password chooses a new one and continues. */
import { html } from 'hono/html'
import { redirectSource } from '#/protocol/redirect-uri.ts'
import { findWaitingRequest } from '#/web/authorization-request/waiting-request.ts'
import { outdated } from '#/web/guards/csrf.ts'
import { safePath } from '#/web/guards/safe-path.ts'
import { caution, postForm, problem } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { afterForm } from '#/web/pages/leave.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { mustChangePassword, signedInUser } from '#/web/sessions/current-user.ts'
import type { AccountOptions } from './options.ts'
import { passwordFields } from './pages.ts'
import { changeOwnPassword, type PasswordErrors } from './security.ts'

const startPage = '/account/devices'

export async function getFirstPassword(c: AppContext, options: AccountOptions) {
  const redirect = safePath(c.req.query('redirect'), startPage)
  return mustChangePassword(signedInUser(c))
    ? page(c, options, { redirect })
    : c.redirect(redirect, 303)
}

export async function postFirstPassword(c: AppContext, options: AccountOptions) {
  const redirect = safePath((await readForm(c)).get('redirect'), startPage)
  // Pressed twice, or done in another tab.
  if (!mustChangePassword(signedInUser(c))) return c.redirect(afterForm(c, redirect), 303)
  const errors = await changeOwnPassword(c, options)
  if (!errors) return c.redirect(afterForm(c, redirect), 303)
  c.status(400)
  return page(c, options, { redirect, errors })
}

export async function postOutdatedPassword(c: AppContext, options: AccountOptions) {
  const redirect = safePath((await readForm(c)).get('redirect'), startPage)
  c.status(403)
  return page(c, options, { redirect, warning: outdated })
}

interface Shown {
  readonly redirect: string
  readonly errors?: PasswordErrors
  readonly warning?: string
}

async function page(c: AppContext, { db, csrf }: AccountOptions, shown: Shown) {
  const request = await findWaitingRequest(db, shown.redirect, c.var.now)
  if (request) c.set('formActions', [redirectSource(request.redirectUri)])
  const { username } = signedInUser(c).user
  return c.html(await renderFirstPasswordPage({ username, csrfToken: csrf.token(c), ...shown }))
}

export interface FirstPasswordPageProps extends Shown {
  readonly username: string
  readonly csrfToken: string
}

/** Without navigation: no other page is open to the user yet. */
export function renderFirstPasswordPage(props: FirstPasswordPageProps): Html {
  const { username, csrfToken, redirect, errors = {}, warning } = props
  const form = postForm(
    { action: '/account/password', csrfToken, className: 'stack' },
    html`<input type="hidden" name="redirect" value="${redirect}">
${passwordFields({ username, current: 'Temporary password', errors })}
<button class="button button-primary button-block">Set password and continue</button>`,
  )
  return renderPage(
    { title: 'Choose a password' },
    html`<section class="card card-alone">
<div class="alone-heading">
<h1>Choose a password</h1>
<p class="lead">You signed in with a temporary password. Choose one that only you know.</p>
</div>
${warning && caution(warning)}
${problem((errors.current || errors.new) && 'Your password was not changed.', 'password-problem')}
${form}
${postForm({ action: '/logout', csrfToken }, html`<button class="button button-quiet button-block">Sign out</button>`)}
</section>`,
  )
}

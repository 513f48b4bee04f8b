/**
 * The way out after a form. Browsers hold every redirect that follows a form to the `form-action` of its page, and
 * nobody knows where a client leads on to: so that chain ends with a page of ours, which goes on by itself.
 */
import { html } from 'hono/html'
import type { AppContext } from '#/web/request/context.ts'
import type { Html } from './html.ts'
import { renderPage } from './layout.ts'

const marker = 'after_form'

/** Marks a local redirect target as following a form, so that the authorization endpoint knows. */
export function afterForm(c: AppContext, path: string): string {
  const { pathname, search, searchParams } = new URL(path, 'http://self.invalid')
  if (!pathname.endsWith('/oauth/authorize') || !isBrowser(c)) return path
  return searchParams.has(marker) ? path : `${pathname}${search}${search ? '&' : '?'}${marker}=1`
}

/** Redirects to an external address, by a page where a form came before. */
export async function leave(c: AppContext, uri: string, status: 302 | 303): Promise<Response> {
  const followsForm = c.req.method === 'POST' || c.req.query(marker) === '1'
  // Private-use schemes redirect no further, and browsers open their apps only after a user's click.
  if (!followsForm || !isBrowser(c) || !/^https?:/.test(uri)) return c.redirect(uri, status)
  c.header('refresh', `0;url=${uri}`)
  return c.html(await renderOnwardPage(uri))
}

/** Programs follow no `Refresh` and enforce no `form-action`. One header is sent over https only, the other by most browsers. */
const isBrowser = (c: AppContext) =>
  c.req.header('sec-fetch-dest') === 'document' || c.req.header('upgrade-insecure-requests') === '1'

const renderOnwardPage = (uri: string): Html =>
  renderPage(
    { title: 'Back to the app' },
    html`<section class="card card-alone">
<div class="alone-heading"><h1>Back to the app</h1></div>
<p><a class="button button-primary button-block" href="${uri}">Continue to ${new URL(uri).host}</a></p>
</section>`,
  )

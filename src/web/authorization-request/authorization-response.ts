/** The answer to an authorization request on its way to the client, as the request asked for it to travel. */
import { createHash } from 'node:crypto'
import { html } from 'hono/html'
import { addQuery, destinationOf } from '#/protocol/redirect-uri.ts'
import type { AuthorizationTarget, ResponseMode } from '#/protocol/response-modes.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { leave } from '#/web/pages/leave.ts'
import type { AppContext } from '#/web/request/context.ts'

type Parameters = Readonly<Record<string, string | undefined>>

/** Sends a code or an error back, with the state of the request (RFC 6749 §4.1.2). */
export async function sendToClient(
  c: AppContext,
  { redirectUri, responseMode, state }: AuthorizationTarget,
  answer: Parameters,
): Promise<Response> {
  const parameters = { ...answer, state: state ?? undefined }
  if (responseMode === 'form_post') return postToClient(c, redirectUri, parameters)
  return leave(c, addressOf(redirectUri, responseMode, parameters), 302)
}

const addressOf = (uri: string, mode: ResponseMode, parameters: Parameters) =>
  addQuery(uri, parameters, mode === 'fragment' ? '#' : undefined)

/** The same for an error, but the user decides whether to go there, and is told where that is (RFC 9700 §4.11.2). */
export async function showWayToClient(
  c: AppContext,
  { redirectUri, responseMode, state }: AuthorizationTarget,
  answer: Parameters,
): Promise<Response> {
  const parameters = { ...answer, state: state ?? undefined }
  const text = `Continue to ${destinationOf(redirectUri)}`
  if (responseMode === 'form_post') c.set('formActions', 'anywhere')
  const way =
    responseMode === 'form_post'
      ? formTo(redirectUri, parameters, text)
      : html`<p><a class="button button-block" rel="noreferrer" href="${addressOf(redirectUri, responseMode, parameters)}">${text}</a></p>`
  return c.html(await renderWayPage(redirectUri, way), 400)
}

const renderWayPage = (redirectUri: string, way: Html): Html =>
  renderPage(
    { title: 'This request cannot be completed' },
    html`<section class="card card-alone">
<div class="alone-heading"><h1>This request cannot be completed</h1></div>
<p>The application that sent you here made an invalid request. It registered itself, and nobody here has verified that <strong>${destinationOf(redirectUri)}</strong> is what it claims to be. Continue only if you trust that address.</p>
${way}
</section>`,
  )

/** OAuth 2.0 Form Post Response Mode §2: a page whose form sends itself, and is followed wherever the client leads on to. */
async function postToClient(c: AppContext, redirectUri: string, parameters: Parameters) {
  c.set('formActions', 'anywhere')
  c.set('scripts', [scriptHash])
  return c.html(await renderFormPostPage(redirectUri, parameters))
}

const script = 'document.forms[0].submit()'
const scriptHash = `'sha256-${createHash('sha256').update(script).digest('base64')}'`

/** The button is for browsers without scripts. */
const renderFormPostPage = (action: string, parameters: Parameters): Html =>
  renderPage(
    { title: 'Back to the app' },
    html`<section class="card card-alone">
<div class="alone-heading"><h1>Back to the app</h1></div>
${formTo(action, parameters, 'Continue')}
</section>
<script>${script}</script>`,
  )

const formTo = (action: string, parameters: Parameters, text: string): Html =>
  html`<form method="post" action="${action}" class="stack">
${Object.entries(parameters).map(([name, value]) =>
  value === undefined ? '' : html`<input type="hidden" name="${name}" value="${value}">`,
)}
<button class="button button-primary button-block">${text}</button>
</form>`

/** The answer to an authorization request on its way to the client, as the request asked for it to travel. */
import { createHash } from 'node:crypto'
import { html } from 'hono/html'
import { addQuery } from '#/protocol/redirect-uri.ts'
import type { AuthorizationTarget } from '#/protocol/response-modes.ts'
import type { AppContext } from './context.ts'
import type { Html } from './html.ts'
import { renderPage } from './layout.ts'
import { leave } from './leave.ts'

type Parameters = Readonly<Record<string, string | undefined>>

/** Sends a code or an error back, with the state of the request (RFC 6749 §4.1.2). */
export async function sendToClient(
  c: AppContext,
  { redirectUri, responseMode, state }: AuthorizationTarget,
  answer: Parameters,
): Promise<Response> {
  const parameters = { ...answer, state: state ?? undefined }
  if (responseMode === 'form_post') return postToClient(c, redirectUri, parameters)
  const separator = responseMode === 'fragment' ? '#' : undefined
  return leave(c, addQuery(redirectUri, parameters, separator), 302)
}

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
<form method="post" action="${action}" class="stack">
${Object.entries(parameters).map(([name, value]) =>
  value === undefined ? '' : html`<input type="hidden" name="${name}" value="${value}">`,
)}
<button class="button button-primary button-block">Continue</button>
</form>
</section>
<script>${script}</script>`,
  )

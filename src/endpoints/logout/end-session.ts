/**
 * GET and POST /oauth/logout: a client sends its user here to sign out (OIDC RP-Initiated Logout 1.0). Without a hint that
 * fits this very session the user is asked; and only a registered address is ever led back to.
 */
import { isActiveClient } from '#/domain/clients/client-state.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { subjectOf } from '#/domain/clients/subject.ts'
import { isNameOfSession } from '#/domain/logout-deliveries/queue-deliveries.ts'
import { type IdTokenHint, readIdTokenHint } from '#/domain/tokens/id-token-hint.ts'
import { addQuery, redirectSource } from '#/protocol/redirect-uri.ts'
import { leave } from '#/web/pages/leave.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext, SignedIn } from '#/web/request/context.ts'
import { readFields, readForm, uniqueParameters } from '#/web/request/forms.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import { endThisSession } from './end-this-session.ts'
import type { LogoutOptions } from './options.ts'
import { renderSignedOutPage, renderSignOutPage } from './pages.ts'

interface EndSessionRequest {
  readonly hint: IdTokenHint | undefined
  readonly client: Client | undefined
  /** Proven to be registered for the client. */
  readonly redirectUri: string | undefined
  readonly state: string | undefined
}

export async function getEndSession(c: AppContext, options: LogoutOptions) {
  const request = await readRequest(new URL(c.req.url).searchParams, options)
  const { signedIn } = c.var
  if (!signedIn) return leadBack(c, request)
  if (!(await isMeant(request, signedIn, options))) return ask(c, request, options)
  await endThisSession(c, options)
  return leadBack(c, request)
}

/** A form of another site arrives without our cookie (SameSite=Lax); as a GET of the browser's own it comes with it. */
export async function postEndSession(c: AppContext) {
  const form = uniqueParameters(await readFields(c))
  const asked = [...form].filter(([name]) => knownParameters.includes(name))
  return c.redirect(`/oauth/logout?${new URLSearchParams(asked)}`, 303)
}

/** Asks again, or leads on when the session has ended meanwhile. */
export async function askAgain(c: AppContext) {
  const form = await readForm(c)
  return c.redirect(`/oauth/logout?${new URLSearchParams(returning(form))}`, 303)
}

/** What comes back with the answer to our question. */
const returned = ['client_id', 'post_logout_redirect_uri', 'state']

/** What the endpoint reads (§2); whatever else is sent in a form has no place in an address. */
const knownParameters = ['id_token_hint', ...returned]

const returning = (form: ReadonlyMap<string, string>) =>
  [...form].filter(([name]) => returned.includes(name))

/** The answer to our own question, so it carries our CSRF token. */
export async function postSignOut(c: AppContext, options: LogoutOptions) {
  const form = await readForm(c)
  const request = await readRequest(new URLSearchParams(returning(form)), options)
  if (request.redirectUri) c.set('formActions', [redirectSource(request.redirectUri)])
  if (form.get('action') === 'stay') return c.redirect('/', 303)
  await endThisSession(c, options)
  return leadBack(c, request)
}

async function readRequest(
  parameters: URLSearchParams,
  options: LogoutOptions,
): Promise<EndSessionRequest> {
  const values = uniqueParameters(parameters)
  const presented = values.get('id_token_hint')
  const hint =
    presented === undefined
      ? undefined
      : await readIdTokenHint(await options.keys(), options.issuer, presented)
  if (presented !== undefined && !hint) refuse('The id_token_hint was not issued by this server.')
  const clientId = values.get('client_id') ?? hint?.clientId
  if (hint && clientId !== hint.clientId)
    refuse('The client_id and the id_token_hint name different applications.')
  const known = clientId === undefined ? undefined : await options.clients.get(clientId)
  // A pending or disabled client never gets a redirect (RFC 9700 §4.11).
  const client = known && isActiveClient(known) ? known : undefined
  const redirectUri = values.get('post_logout_redirect_uri')
  if (redirectUri !== undefined && !client?.postLogoutRedirectUris.includes(redirectUri))
    refuse('The post_logout_redirect_uri is not registered for the application.')
  return { hint, client, redirectUri, state: values.get('state') }
}

function refuse(why: string): never {
  throw new PageError(
    400,
    'You are still signed in',
    `The application sent an invalid request. ${why}`,
  )
}

/** Whether the hint is of this very session, so that its user need not be asked (§2). */
async function isMeant(
  { hint, client }: EndSessionRequest,
  { session, user }: SignedIn,
  { db, keys }: LogoutOptions,
): Promise<boolean> {
  if (!hint || !client || hint.sid === undefined) return false
  return (
    hint.subject === subjectOf(client, user.id, await keys()) &&
    (await isNameOfSession(db, { sessionId: session.id, sid: hint.sid }))
  )
}

async function ask(c: AppContext, request: EndSessionRequest, { csrf }: LogoutOptions) {
  const { client, redirectUri, state } = request
  if (redirectUri) c.set('formActions', [redirectSource(redirectUri)])
  const page = await renderSignOutPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    clientName: client?.name,
    fields: {
      client_id: client?.clientId,
      post_logout_redirect_uri: redirectUri,
      state,
    },
  })
  return c.html(page)
}

/** §3: back to the client, or to a page that says it is done. */
async function leadBack(c: AppContext, { redirectUri, state }: EndSessionRequest) {
  if (redirectUri === undefined) return c.html(await renderSignedOutPage())
  return leave(c, state === undefined ? redirectUri : addQuery(redirectUri, { state }), 303)
}

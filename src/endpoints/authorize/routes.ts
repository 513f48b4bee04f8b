/**
 * GET and POST /oauth/authorize (RFC 6749 §3.1). This endpoint alone decides the next step of a sign-in: from the
 * stored request, the session and the consent. Pages only ever lead back here.
 */
import { Hono, type MiddlewareHandler } from 'hono'
import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import { writeAudit } from '#/domain/audit/audit.ts'
import { issueAuthorizationCode } from '#/domain/authorization-codes/authorization-codes.ts'
import {
  consumeAuthorizationRequest,
  findAuthorizationRequest,
  type RequestedAuthorization,
  storeAuthorizationRequest,
} from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { findConsentedScope, grantConsent } from '#/domain/consents/consents.ts'
import { AuthorizationError, OAuthError } from '#/protocol/errors.ts'
import { addQuery, redirectSource } from '#/protocol/redirect-uri.ts'
import { isScopeWithin, scopeWords } from '#/protocol/scopes.ts'
import { networkOf } from '#/web/client-address.ts'
import type { AppContext, AppEnv, SignedIn } from '#/web/context.ts'
import type { Csrf } from '#/web/csrf.ts'
import { type SessionAccess, signedInUser } from '#/web/current-user.ts'
import { readForm } from '#/web/forms.ts'
import { enforceLimit, type Limiter } from '#/web/rate-limit.ts'
import { describeScopes } from '#/web/scope-words.ts'
import { renderConsentPage } from './pages.ts'
import { parseAuthorizationRequest } from './request.ts'

export interface AuthorizeOptions {
  readonly db: Database
  readonly issuer: string
  readonly clients: ReadCache<Client>
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly limiter: Limiter | undefined
  readonly codeLifetimeMs: number
  readonly rememberConsent: boolean
}

export function authorizeRoutes(options: AuthorizeOptions): Hono<AppEnv> {
  const { sessions, csrf } = options
  return new Hono<AppEnv>()
    .get('/oauth/authorize', sessions.optionalUser, (c) => getAuthorize(c, options))
    .post('/oauth/authorize', sessions.optionalUser, backWhenSignedOut, csrf.require, (c) =>
      postAuthorize(c, options),
    )
}

/** Whoever was signed out meanwhile signs in again for the same request; the answer is asked for anew. */
const backWhenSignedOut: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.var.signedIn) return next()
  const id = (await readForm(c)).get('authorization_request') ?? ''
  return c.redirect(pathOf(id), 303)
}

/** A request under way: stored (it has an id) or as it just came in. */
interface Pending {
  readonly id: string | undefined
  readonly client: Client
  readonly request: RequestedAuthorization
}

async function getAuthorize(c: AppContext, options: AuthorizeOptions) {
  await enforceLimit(c, options.db, options.limiter, networkOf(c.var.address))
  const pending = await readPending(c, options)
  const { signedIn } = c.var
  if (!signedIn) return askToSignIn(c, pending, options)
  const consented = await findConsentedScope(options.db, signedIn.user.id, pending.request.clientId)
  const covered =
    consented !== undefined && isScopeWithin(scopeWords(pending.request.scope), consented)
  if (!covered || !mayRemember(pending, options))
    return askConsent(c, pending, consented ?? '', options)
  const code = await options.db.transaction(async (tx) => {
    if (pending.id !== undefined) {
      requireStored(await consumeAuthorizationRequest(tx, pending.id, c.var.now))
    }
    return issueCode(tx, c, { ...pending, signedIn }, options)
  })
  c.var.recorder.consentDecided('remembered')
  return sendCode(c, pending.request, code, options)
}

/** Anyone may pose as a public client on a loopback port or private scheme, so its user is asked each time (RFC 8252 §8.6). */
const mayRemember = ({ client, request }: Pending, { rememberConsent }: AuthorizeOptions) =>
  rememberConsent && (client.type === 'confidential' || request.redirectUri.startsWith('https:'))

async function readPending(c: AppContext, { db, clients }: AuthorizeOptions): Promise<Pending> {
  const query = new URL(c.req.url).searchParams
  const id = query.get('authorization_request')
  if (id === null) return { id: undefined, ...(await parseAuthorizationRequest(query, clients)) }
  const request = await findAuthorizationRequest(db, id, c.var.now)
  return {
    id,
    request: requireStored(request),
    client: await requireActive(request?.clientId, clients),
  }
}

async function askToSignIn(c: AppContext, { id, request }: Pending, { db }: AuthorizeOptions) {
  const stored = id ?? (await storeAuthorizationRequest(db, request, c.var.now))
  return c.redirect(`/login?${new URLSearchParams({ redirect: pathOf(stored) })}`, 303)
}

async function askConsent(
  c: AppContext,
  { id, client, request }: Pending,
  alreadyGranted: string,
  { db, csrf }: AuthorizeOptions,
) {
  const requestId = id ?? (await storeAuthorizationRequest(db, request, c.var.now))
  c.set('formActions', [redirectSource(request.redirectUri)])
  const { user } = signedInUser(c)
  const page = await renderConsentPage({
    csrfToken: csrf.token(c),
    requestId,
    client: {
      name: client.name,
      uri: client.uri ?? undefined,
      redirectHost: hostOf(request.redirectUri),
    },
    user: { username: user.username },
    scopes: describeScopes(request.scope),
    alreadyGranted: scopeWords(alreadyGranted),
    switchAccountHref: `/login?${new URLSearchParams({ redirect: pathOf(requestId), switch: '1' })}`,
  })
  return c.html(page)
}

async function postAuthorize(c: AppContext, options: AuthorizeOptions) {
  const { db, clients } = options
  const signedIn = signedInUser(c)
  const form = await readForm(c)
  const action = form.get('action')
  if (action !== 'approve' && action !== 'deny')
    throw new OAuthError('invalid_request', 'action must be approve or deny')
  const id = form.get('authorization_request') ?? ''
  const known = requireStored(await findAuthorizationRequest(db, id, c.var.now))
  const client = await requireActive(known.clientId, clients)
  c.set('formActions', [redirectSource(known.redirectUri)])
  if (action === 'deny') return deny(c, id, signedIn, options)
  const { code, granted } = await approve(c, { id, client, request: known, signedIn }, options)
  c.var.recorder.consentDecided('approved')
  if (granted) c.var.recorder.consentGranted('authorization_code')
  return sendCode(c, known, code, options)
}

interface Decision extends Pending {
  readonly signedIn: SignedIn
}

/** One transaction: the request is used up, the consent saved and the code issued, or none of it. */
function approve(c: AppContext, decision: Decision & { id: string }, options: AuthorizeOptions) {
  const { id, request, signedIn } = decision
  return options.db.transaction(async (tx) => {
    requireStored(await consumeAuthorizationRequest(tx, id, c.var.now))
    const approval = {
      user: signedIn.user,
      clientId: request.clientId,
      scope: request.scope,
      now: c.var.now,
    }
    const granted = await grantConsent(tx, approval, c.var.origin)
    return { granted, code: await issueCode(tx, c, decision, options) }
  })
}

async function deny(
  c: AppContext,
  id: string,
  { user }: SignedIn,
  { db }: AuthorizeOptions,
): Promise<never> {
  const { now, origin } = c.var
  const request = await db.transaction(async (tx) => {
    const denied = requireStored(await consumeAuthorizationRequest(tx, id, now))
    await writeAudit(tx, origin, {
      type: 'AUTHORIZATION_CODE_DENIED',
      at: now,
      success: false,
      actor: user,
      clientId: denied.clientId,
      details: { scope: denied.scope },
    })
    return denied
  })
  c.var.recorder.consentDecided('denied')
  throw new AuthorizationError('access_denied', 'the user said no', {
    redirectUri: request.redirectUri,
    state: request.state ?? undefined,
  })
}

const issueCode = (
  tx: Database,
  c: AppContext,
  { client, request, signedIn }: Decision,
  { codeLifetimeMs }: AuthorizeOptions,
) =>
  issueAuthorizationCode(
    tx,
    {
      request,
      user: signedIn.user,
      sessionId: signedIn.session.id,
      authTime: signedIn.session.createdAt,
      amr: undefined,
      acr: undefined,
      announceEnd: client.backchannelLogoutUri !== null,
      lifetimeMs: codeLifetimeMs,
      now: c.var.now,
    },
    c.var.origin,
  )

/** RFC 6749 §4.1.2, with the issuer of RFC 9207. */
function sendCode(
  c: AppContext,
  request: RequestedAuthorization,
  code: string,
  { issuer }: AuthorizeOptions,
) {
  c.var.recorder.authorizationCode('issued')
  return c.redirect(
    addQuery(request.redirectUri, { code, state: request.state ?? undefined, iss: issuer }),
    302,
  )
}

function requireStored<T>(request: T | undefined): T {
  if (request === undefined) {
    throw new OAuthError(
      'invalid_request',
      'this sign-in has expired or was already answered; start again from the application',
    )
  }
  return request
}

async function requireActive(
  clientId: string | undefined,
  clients: ReadCache<Client>,
): Promise<Client> {
  const client = clientId === undefined ? undefined : await clients.get(clientId)
  if (client?.status !== 'active')
    throw new OAuthError('invalid_client', 'the application is not known here', { status: 400 })
  return client
}

const pathOf = (id: string) =>
  `/oauth/authorize?${new URLSearchParams({ authorization_request: id })}`

const hostOf = (uri: string) => new URL(uri).host || new URL(uri).protocol.slice(0, -1)

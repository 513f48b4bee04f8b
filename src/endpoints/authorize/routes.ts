/**
 * GET and POST /oauth/authorize (RFC 6749 §3.1). This endpoint alone decides the next step of a sign-in: from the
 * stored request, the session and the consent. Pages only ever lead back here.
 */
import { Hono, type MiddlewareHandler } from 'hono'
import { chooseAccount, maxAgeOf } from '#/domain/authorization-requests/authorization-requests.ts'
import { subjectOf } from '#/domain/clients/subject.ts'
import { findConsentedScope } from '#/domain/consents/consents.ts'
import { consentScope } from '#/protocol/claims.ts'
import { AuthorizationError, OAuthError } from '#/protocol/errors.ts'
import { redirectSource } from '#/protocol/redirect-uri.ts'
import { isScopeWithin, scopeWords } from '#/protocol/scopes.ts'
import { hasObject } from '#/web/authorization-request/request-object.ts'
import { isVouchedFor } from '#/web/authorization-request/vouched.ts'
import { limitFailures } from '#/web/limits/limit-failures.ts'
import { afterForm } from '#/web/pages/leave.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { readFields, readForm } from '#/web/request/forms.ts'
import { mustChangePassword, signedInUser } from '#/web/sessions/current-user.ts'
import { answerAgain, answerAtOnce, approve, consumePending, deny } from './answer.ts'
import { askForAccount, askForConsent, askForPassword, askToSignIn } from './ask.ts'
import { type NextStep, nextStep } from './next-step.ts'
import type { AuthorizeOptions } from './options.ts'
import {
  findPending,
  keep,
  NothingToAnswer,
  type PendingRequest,
  pathOf,
  readRequest,
  requireStored,
} from './pending.ts'

export function authorizeRoutes(options: AuthorizeOptions): Hono<AppEnv> {
  const { sessions, csrf } = options
  return new Hono<AppEnv>()
    .get('/oauth/authorize', sessions.optionalUser, (c) => getAuthorize(c, options))
    .post(
      '/oauth/authorize',
      takeRequest(options),
      sessions.optionalUser,
      backWhenSignedOut,
      csrf.requireOr(askAgain),
      (c) => lookTwice(() => postAnswer(c, options)),
    )
}

const getAuthorize = (c: AppContext, options: AuthorizeOptions) =>
  limitFailures(c, options, () => showNextStep(c, options))

async function showNextStep(c: AppContext, options: AuthorizeOptions) {
  const query = new URL(c.req.url).searchParams
  const id = query.get('authorization_request')
  if (id !== null) return lookTwice(() => resume(c, id, options))
  const pending = await readRequest(c, query, options)
  // Loaded again, a request object would be a replay: the address to load again is that of the stored request.
  return !pending.stored && hasObject(query)
    ? comeBack(c, pending, options)
    : proceed(c, pending, options)
}

/** Of parallel answers one gets through, and the others find it when they look again. */
async function lookTwice<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look()
  } catch (error) {
    if (error instanceof NothingToAnswer) return look()
    throw error
  }
}

async function resume(c: AppContext, id: string, options: AuthorizeOptions) {
  const { answer, ...pending } = await findPending(c, id, options)
  return answer ? answerAgain(c, pending, answer, options) : proceed(c, pending, options)
}

async function proceed(c: AppContext, pending: PendingRequest, options: AuthorizeOptions) {
  c.set('clientId', pending.client.clientId)
  const { step, consented } = await decide(c, pending, options)
  if (typeof step === 'object')
    return refuse(
      c,
      pending,
      { ...step, atOnce: mayGoAtOnce(pending, consented, options) },
      options,
    )
  switch (step) {
    case 'sign_in':
      return askToSignIn(c, pending, options)
    case 'sign_in_again':
      return askToSignIn(c, pending, options, { again: '1' })
    case 'change_password':
      return askForPassword(c, pending, options)
    case 'choose_account':
      return askForAccount(c, pending, options)
    case 'ask_consent':
      return askForConsent(c, pending, consented, options)
    case 'issue_code':
      return answerAtOnce(c, pending, options)
  }
}

/**
 * OIDC Core §3.1.2.1: requests come by POST, too. A form of another site arrives without our cookies (SameSite=Lax), so
 * the browser comes back with a GET of its own. Answers to our own pages name the request they belong to.
 */
const takeRequest =
  (options: AuthorizeOptions): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const fields = await readFields(c)
    if (fields.has('authorization_request')) return next()
    return limitFailures(c, options, async () =>
      comeBack(c, await readRequest(c, fields, options), options),
    )
  }

const comeBack = async (c: AppContext, pending: PendingRequest, { db }: AuthorizeOptions) =>
  c.redirect(pathOf(await keep(pending, db, c.var.now)), 303)

/** A user who was signed out meanwhile signs in again for the same request and is asked again. */
const backWhenSignedOut: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.var.signedIn) return next()
  const id = (await readForm(c)).get('authorization_request') ?? ''
  return c.redirect(afterForm(c, pathOf(id)), 303)
}

/** A form that has expired decides nothing: the question is shown again, if it is still open. */
async function askAgain(c: AppContext) {
  const id = (await readForm(c)).get('authorization_request') ?? ''
  return c.redirect(afterForm(c, pathOf(id, { notice: 'outdated' })), 303)
}

async function postAnswer(c: AppContext, options: AuthorizeOptions) {
  const form = await readForm(c)
  const action = form.get('action')
  if (action !== 'approve' && action !== 'deny' && action !== 'continue')
    throw new OAuthError('invalid_request', 'action must be approve, deny or continue')
  const id = form.get('authorization_request') ?? ''
  const { answer, ...pending } = await findPending(c, id, options)
  const { request } = pending
  c.set('formActions', [redirectSource(request.redirectUri)])
  if (answer) {
    const isSame = (action === 'deny') === (answer.error?.code === 'access_denied')
    return isSame ? answerAgain(c, pending, answer, options) : requireStored(undefined)
  }
  if (action === 'deny') return deny(c, pending, options)
  if (action === 'continue') {
    const { session } = signedInUser(c)
    await chooseAccount(options.db, { id, interaction: request.interaction }, session.id)
    return c.redirect(afterForm(c, pathOf(id)), 303)
  }
  const { step } = await decide(c, pending, options)
  // The page that was answered may be older than the session: what comes before consent is never skipped.
  const isAsked = step === 'ask_consent' || step === 'issue_code'
  return isAsked ? approve(c, pending, options) : c.redirect(afterForm(c, pathOf(id)), 303)
}

interface Decided {
  readonly step: NextStep
  /** What the user has approved before. */
  readonly consented: string
}

async function decide(
  c: AppContext,
  pending: PendingRequest,
  options: AuthorizeOptions,
): Promise<Decided> {
  const { client, request, stored } = pending
  const { signedIn, now } = c.var
  const consented = signedIn
    ? await findConsentedScope(options.db, signedIn.user.id, client.clientId)
    : undefined
  const isCovered =
    consented !== undefined && isScopeWithin(scopeWords(consentScope(request)), consented)
  const step = nextStep({
    request,
    askedAt: stored?.createdAt,
    session: signedIn?.session,
    mustChangePassword: signedIn !== undefined && mustChangePassword(signedIn),
    subject: signedIn && subjectOf(client, signedIn.user.id, await options.keys()),
    approved: isCovered && mayRemember(pending, options),
    maxAge: maxAgeOf(request, client),
    now,
  })
  return { step, consented: consented ?? '' }
}

/** Anyone may pose as a public client on a loopback port or private scheme, so its user is asked each time (RFC 8252 §8.6). */
const mayRemember = ({ client, request }: PendingRequest, { rememberConsent }: AuthorizeOptions) =>
  rememberConsent && (client.type === 'confidential' || request.redirectUri.startsWith('https:'))

async function refuse(
  c: AppContext,
  pending: PendingRequest,
  { code, description, atOnce }: NextStep & object & { readonly atOnce: boolean },
  { db }: AuthorizeOptions,
): Promise<never> {
  await consumePending(db, c, pending, { code, description })
  throw new AuthorizationError(code, description, pending.request, { atOnce })
}

/** RFC 9700 §4.11.2: no automatic redirect to an unverified client that the user has not given consent before. */
const mayGoAtOnce = ({ client }: PendingRequest, consented: string, options: AuthorizeOptions) =>
  consented !== '' || isVouchedFor(client, options)

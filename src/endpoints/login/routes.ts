/** GET and POST /login: the page where people prove who they are with a password. */
import { Hono } from 'hono'
import { isTooLate } from '#/database/deadline.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import { maxAgeOf } from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { ExternalApi } from '#/domain/external-api/external-api.ts'
import { OverloadedError, type Passwords, type Requester } from '#/domain/users/passwords.ts'
import { normalizeUsername } from '#/domain/users/users.ts'
import { redirectSource } from '#/protocol/redirect-uri.ts'
import type { IsReserved } from '#/protocol/reserved-usernames.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import type { LoginFailureReason } from '#/protocol/vocabulary.ts'
import { findWaitingRequest } from '#/web/authorization-request/waiting-request.ts'
import { type Csrf, outdated } from '#/web/guards/csrf.ts'
import { safePath } from '#/web/guards/safe-path.ts'
import { brandingOf } from '#/web/pages/client-branding.ts'
import { afterForm } from '#/web/pages/leave.ts'
import { noticeOf } from '#/web/pages/notices.ts'
import { PageError } from '#/web/pages/page-error.ts'
import { networkOf, widestNetworkOf } from '#/web/request/client-address.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { noteFailedSignIn } from '#/web/request/note-refusal.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'
import type { KnownBrowsers } from '#/web/sessions/known-browsers.ts'
import { type SignInOptions, signIn, signInMoment } from '#/web/sessions/sign-in.ts'
import { type Checked, checkCredentials } from './check.ts'
import { enforceLoginLimits, type LoginAttempt, type LoginLimits } from './limits.ts'
import { type LoginPageProps, renderLoginPage } from './pages.ts'

export interface LoginOptions extends SignInOptions {
  readonly passwords: Passwords
  /** Checks everyone who has no local account; undefined with AUTH_MODE=local. */
  readonly externalApi: ExternalApi | undefined
  readonly isReserved: IsReserved
  readonly clients: ReadCache<Client>
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly limits: LoginLimits
  readonly knownBrowsers: KnownBrowsers
  readonly providers: LoginPageProps['providers']
}

const startPage = '/account/devices'

export function loginRoutes(options: LoginOptions): Hono<AppEnv> {
  const { sessions, csrf } = options
  return new Hono<AppEnv>()
    .get('/login', sessions.optionalUser, (c) => getLogin(c, options))
    .post(
      '/login',
      sessions.optionalUser,
      csrf.requireOr((c) => postOutdated(c, options)),
      (c) => postLogin(c, options),
    )
}

const notices: Readonly<Record<string, string>> = {
  session_timeout: 'You were signed out due to inactivity. Please sign in again.',
  session_invalid: 'You were signed out. Please sign in again.',
  again: 'Please sign in again to continue.',
}

async function getLogin(c: AppContext, options: LoginOptions) {
  const redirect = safePath(c.req.query('redirect'), startPage)
  const { signedIn } = c.var
  const again = c.req.query('again') === '1'
  if (signedIn && !again && c.req.query('switch') !== '1') return c.redirect(redirect, 303)
  const notice = signedIn && again ? notices['again'] : noticeOf(c, notices, 'error')
  const username = signedIn && again ? signedIn.user.username : undefined
  return loginPage(c, options, {
    redirect,
    ...(notice && { notice }),
    ...(username !== undefined && { username }),
  })
}

/** A form that has expired signs nobody in; a user who has signed in meanwhile in another tab continues from there. */
async function postOutdated(c: AppContext, options: LoginOptions) {
  const form = await readForm(c)
  const redirect = safePath(form.get('redirect'), startPage)
  const username = normalizeUsername(form.get('username') ?? '')
  if (c.var.signedIn?.user.username === username) return c.redirect(afterForm(c, redirect), 303)
  c.status(403)
  const remember = form.get('remember_me') === '1'
  return loginPage(c, options, {
    redirect,
    warning: outdated,
    ...(username !== '' && { username }),
    ...(remember && { remember }),
  })
}

async function postLogin(c: AppContext, options: LoginOptions) {
  const form = await readForm(c)
  const username = normalizeUsername(form.get('username') ?? '')
  const redirect = safePath(form.get('redirect'), startPage)
  const attempt = await limited(c, options, username)
  const verdict = await decide(c, options, { form, username, attempt })
  if (!verdict.ok) return refuse(c, options, { redirect, username, reason: verdict.reason })
  await options.knownBrowsers.remember(c, verdict.user.username)
  return c.redirect(afterForm(c, redirect), 303)
}

async function limited(c: AppContext, options: LoginOptions, username: string) {
  try {
    return await enforceLoginLimits(c, options, username)
  } catch (error) {
    c.var.recorder.loginRefused(error instanceof PageError ? 'rate_limited' : 'error')
    throw error
  }
}

interface Attempt {
  readonly form: ReadonlyMap<string, string>
  readonly username: string
  readonly attempt: LoginAttempt
}

/** Checks the sign-in and counts its outcome once, even if the request has been abandoned. */
async function decide(c: AppContext, options: LoginOptions, sent: Attempt): Promise<Checked> {
  const start = performance.now()
  const seconds = () => (performance.now() - start) / 1000
  try {
    const verdict = await check(c, options, sent)
    const outcome = verdict.ok ? await enter(c, options, { ...sent, verdict }) : verdict
    record(c, outcome, seconds())
    return outcome === 'repeated' ? verdict : outcome
  } catch (error) {
    sent.attempt.refund()
    const isLate = error instanceof OverloadedError || isTooLate()
    c.var.recorder.loginRefused(isLate ? 'overloaded' : 'error')
    throw error
  }
}

async function check(
  c: AppContext,
  options: LoginOptions,
  { form, username, attempt }: Attempt,
): Promise<Checked> {
  const lane = laneOf(c, attempt.browser)
  const password = form.get('password') ?? ''
  const verdict = await checkCredentials(c, options, { username, password, lane })
  if (isTooLate()) throw new OverloadedError('the password was checked too late')
  // No password was wrong.
  if (!verdict.ok && isNoGuess.has(verdict.reason)) attempt.refund()
  return verdict
}

/** 'repeated' when the same form has signed in already. */
async function enter(
  c: AppContext,
  options: LoginOptions,
  { form, attempt, verdict }: Attempt & { readonly verdict: Checked & { ok: true } },
): Promise<Checked | 'repeated'> {
  const { user, method, identity } = verdict
  const signedIn = await signIn(c, options, {
    user,
    source: method,
    identity,
    remember: form.get('remember_me') === '1',
    submission: form.get('submission'),
    now: await signInMoment(c, options.db, safePath(form.get('redirect'), '/')),
  })
  if (!signedIn) return { ok: false, reason: 'account_inactive', user, method }
  attempt.refund()
  return signedIn === 'repeated' ? 'repeated' : verdict
}

/** Counts a sign-in, and writes a failed one down. */
function record(c: AppContext, outcome: Checked | 'repeated', seconds: number) {
  if (outcome === 'repeated') return
  const { recorder } = c.var
  const { user, method } = outcome
  if (outcome.ok)
    return recorder.loginAttempted({ method, source: method, result: 'success', seconds })
  const { reason } = outcome
  const source = user ? method : 'unknown'
  // The name of an account that does not exist may be a password typed into the wrong field.
  noteFailedSignIn(c, { user, reason, auth_source: source })
  recorder.loginAttempted({ method, source, result: 'failure', seconds, reason })
}

const isNoGuess: ReadonlySet<LoginFailureReason> = new Set(['unavailable', 'conflict'])

/** A browser that the account knows waits in a line of its own. */
function laneOf({ var: { address } }: AppContext, browser: string | undefined): Requester {
  if (browser !== undefined) return { address: browser, network: browser, known: true }
  return { address: networkOf(address), network: widestNetworkOf(address), known: false }
}

interface SignInRefusal {
  readonly redirect: string
  readonly username: string
  readonly reason: LoginFailureReason
}

/** One answer for every failed proof, so that it does not reveal whether an account exists. */
function refuse(
  c: AppContext,
  options: LoginOptions,
  { redirect, username, reason }: SignInRefusal,
) {
  const { status, error } = refusals[reason] ?? mismatch
  if (status === 503) c.header('retry-after', '60')
  c.status(status)
  return loginPage(c, options, { redirect, username, error })
}

const mismatch = { status: 401, error: 'Incorrect username or password.' } as const

const refusals: Partial<Record<LoginFailureReason, { status: 409 | 503; error: string }>> = {
  unavailable: {
    status: 503,
    error: 'Sign-in is temporarily unavailable. Please try again in a minute.',
  },
  // Shown only after a correct password.
  conflict: {
    status: 409,
    error:
      'Your password is correct, but no account could be created for you. Please contact your administrator.',
  },
}

interface Page {
  readonly redirect: string
  readonly username?: string
  readonly error?: string
  readonly notice?: string
  readonly warning?: string
  readonly remember?: boolean
}

async function loginPage(c: AppContext, options: LoginOptions, page: Page) {
  const destination = await describeDestination(c, options, page.redirect)
  const rememberMeEnabled = options.policy.rememberMe
  return c.html(
    await renderLoginPage({
      csrfToken: options.csrf.token(c),
      submission: randomSecret(),
      rememberMeEnabled,
      providers: options.providers,
      remember: rememberMeEnabled && c.req.query('remember_me') === '1',
      ...destination,
      ...page,
    }),
  )
}

/** When the sign-in is on its way to a client: its face, whom it expects, and leave for the form to end up there. */
async function describeDestination(c: AppContext, { db, clients }: LoginOptions, redirect: string) {
  const request = await findWaitingRequest(db, redirect, c.var.now)
  if (!request) return {}
  c.set('formActions', [redirectSource(request.redirectUri)])
  const client = await clients.get(request.clientId)
  const { loginHint } = request.interaction
  return {
    ...(client && {
      client: brandingOf(c, client),
      mustProve: maxAgeOf(request, client) !== undefined,
    }),
    // OIDC Core §3.1.2.1.
    ...(loginHint !== undefined && { username: loginHint }),
  }
}

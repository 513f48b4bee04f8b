/** What people do in a browser: sign in and out, approve, lose their session. Each step notes what it must have moved. */
import type { Answer, Browser } from '../browser.ts'
import { hiddenField } from '../browser.ts'
import {
  did,
  expectThat,
  type Family,
  openFreshBrowser,
  type Person,
  pause,
  type World,
} from './world.ts'

export type EndReason =
  | 'logout'
  | 'idle_timeout'
  | 'timeout'
  | 'fingerprint_mismatch'
  | 'account_inactive'
  | 'revoked'
  | 'replaced'
  | 'password_changed'

/** Signs in in a new browser. */
export async function arrive(
  world: World,
  person: Person,
  more: Readonly<Record<string, string>> = {},
): Promise<Browser> {
  const browser = openFreshBrowser(world)
  await signIn(world, person, browser, more)
  return browser
}

export async function signIn(
  world: World,
  person: Person,
  browser: Browser,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { username, password } = person
  const answer = await attempt(world, browser, { username, password, ...more })
  expectThat(answer.status === 303, `sign-in of ${username} answered ${answer.status}`)
  if (person.signedIn.has(browser)) ended(world, person, browser, 'replaced')
  person.signedIn.add(browser)
  checked(world, 'success', 'local')
  did(world, 'sessions_created_total')
  did(world, 'sessions_active')
}

export async function failToSignIn(
  world: World,
  { username, password }: { username: string; password: string },
  reason: 'unknown_user' | 'wrong_password' | 'account_inactive',
  browser = openFreshBrowser(world),
): Promise<void> {
  const answer = await attempt(world, browser, { username, password })
  expectThat(answer.status === 401, `a wrong sign-in (${reason}) answered ${answer.status}`)
  refused(world, reason)
}

/** Sends the form; a server that is too busy is asked again a little later. */
async function attempt(world: World, browser: Browser, fields: Readonly<Record<string, string>>) {
  for (;;) {
    const answer = await browser.submit('/login?switch=1', '/login', fields)
    if (answer.status !== 503) return answer
    did(world, 'authgate_login_failures_total', { reason: 'overloaded' })
    await pause(300, 900)
  }
}

/** The same for forms that are not about signing in, but hash a password too. */
export async function patiently(send: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await send()
    if (answer.status !== 503) return answer
    await pause(300, 900)
  }
}

/** The first sign-in with a password that somebody else has chosen. */
export async function chooseOwnPassword(world: World, person: Person): Promise<void> {
  const browser = await arrive(world, person)
  const held = await browser.get('/account/devices')
  expectThat(
    held.location.startsWith('/account/password'),
    'no password of their own was asked for',
  )
  await changePassword(world, person, browser, '/account/password')
  await signOut(world, person, browser)
}

/** The session that asks goes on under another id. */
export async function changePassword(
  world: World,
  person: Person,
  browser: Browser,
  page: '/account/password' | '/account/security',
): Promise<void> {
  const fresh = `${person.password}-and-more`
  const action = page === '/account/password' ? page : `${page}/password`
  const answer = await patiently(() =>
    browser.submit(page, action, {
      current_password: person.password,
      new_password: fresh,
      new_password_again: fresh,
    }),
  )
  expectThat(answer.status === 303, `changing a password answered ${answer.status}`)
  person.password = fresh
  did(world, 'sessions_expired_total', { reason: 'replaced' })
  did(world, 'session_duration_seconds_count')
  did(world, 'sessions_created_total')
}

/** A sign-in whose credentials were looked at. */
function checked(world: World, result: 'success' | 'failure', source: 'local' | 'unknown') {
  did(world, 'auth_attempts_total', { method: 'local', result })
  did(world, 'auth_login_total', { auth_source: source, result })
  did(world, 'auth_login_duration_seconds_count', { method: 'local', result })
}

export function refused(
  world: World,
  reason: 'unknown_user' | 'wrong_password' | 'account_inactive',
): void {
  checked(world, 'failure', reason === 'unknown_user' ? 'unknown' : 'local')
  did(world, 'authgate_login_failures_total', { reason })
}

/** Notes the end of a session. */
export function ended(world: World, person: Person, browser: Browser, reason: EndReason): void {
  expectThat(person.signedIn.delete(browser), `${person.username} was not signed in there`)
  did(world, 'sessions_expired_total', { reason })
  did(world, 'session_duration_seconds_count')
  did(world, 'sessions_active', {}, -1)
  if (reason === 'logout') did(world, 'auth_logout_total')
}

/** Notes the end of every session of a person, or of all but one. */
export function endedAll(world: World, person: Person, reason: EndReason, except?: Browser): void {
  for (const browser of [...person.signedIn])
    if (browser !== except) ended(world, person, browser, reason)
}

export async function signOut(world: World, person: Person, browser: Browser): Promise<void> {
  const answer = await browser.submit('/account/devices', '/logout')
  expectThat(answer.status === 303 && answer.location === '/login', 'signing out did not work')
  ended(world, person, browser, 'logout')
}

/** The session is accepted: the page of a signed-in user appears. */
export async function look(browser: Browser, path = '/account/devices'): Promise<string> {
  const answer = await browser.get(path)
  expectThat(answer.status === 200, `${path} answered ${answer.status} to a signed-in browser`)
  return answer.text
}

/** The session is over: the browser is sent to the sign-in page. */
export async function lookInVain(browser: Browser): Promise<void> {
  const answer = await browser.get('/account/devices')
  expectThat(
    answer.status === 303 && answer.location.startsWith('/login'),
    `an ended session was answered ${answer.status}`,
  )
}

/** What an app asks of a person. */
export interface Approval {
  readonly browser: Browser
  readonly family: Family
  /** The authorization request, ready to be opened. */
  readonly path: string
}

/** Opens an authorization request and says yes where the server asks; answers the code. */
export async function approve(
  world: World,
  person: Person,
  { browser, family, path }: Approval,
): Promise<string> {
  const { app, scope } = family
  const known = person.consents.get(app)
  const words = scope.split(' ')
  const remembered = app.secret !== undefined && words.every((word) => known?.has(word) === true)
  const asked = await browser.get(path)
  expectThat(asked.status === (remembered ? 302 : 200), `authorization answered ${asked.status}`)
  const sent = remembered ? asked : await answerConsent(browser, asked, 'approve')
  const code = new URL(sent.location).searchParams.get('code')
  expectThat(code !== null, 'no code came back')
  did(world, 'authgate_consent_decisions_total', {
    decision: remembered ? 'remembered' : 'approved',
  })
  did(world, 'authgate_authorization_codes_total', { event: 'issued' })
  consented(world, person, family, 'authorization_code')
  return code
}

/** Notes what an approval adds to those before it, if anything. */
export function consented(
  world: World,
  person: Person,
  { app, scope }: Pick<Family, 'app' | 'scope'>,
  flow: 'authorization_code' | 'device_code',
): void {
  const known = person.consents.get(app)
  const words = scope.split(' ')
  if (words.every((word) => known?.has(word))) return
  did(world, 'oauth_consent_granted_total', { flow })
  if (!known) did(world, 'authgate_consents_active')
  person.consents.set(app, new Set([...(known ?? []), ...words]))
}

export async function deny(world: World, { browser, path }: Approval): Promise<void> {
  const sent = await answerConsent(browser, await browser.get(path), 'deny')
  const error = new URL(sent.location).searchParams.get('error')
  expectThat(error === 'access_denied', 'the refusal did not reach the app')
  did(world, 'authgate_consent_decisions_total', { decision: 'denied' })
  protocolError(world, '/oauth/authorize', 'access_denied')
}

async function answerConsent(browser: Browser, page: Answer, action: 'approve' | 'deny') {
  expectThat(page.status === 200, `the consent page answered ${page.status}`)
  const sent = await browser.post('/oauth/authorize', {
    csrf_token: hiddenField(page.text, 'csrf_token'),
    authorization_request: hiddenField(page.text, 'authorization_request'),
    action,
  })
  expectThat(sent.status === 302, `the answer to the consent page was answered ${sent.status}`)
  return sent
}

/** `kind`: for what it is written down, where the error alone does not tell. */
export function protocolError(
  world: World,
  endpoint: string,
  error: string,
  kind = refusalOf(endpoint, error),
): void {
  did(world, 'authgate_oauth_errors_total', { endpoint, error })
  if (kind !== undefined) writtenDown(world, kind)
}

export const writtenDown = (world: World, kind: string): void =>
  did(world, 'authgate_refusals_total', { kind })

function refusalOf(endpoint: string, error: string): string | undefined {
  if (error === 'invalid_client' && endpoint !== '/oauth/authorize') return 'client_authentication'
  return refusals.get(`${endpoint} ${error}`)
}

const refusals: ReadonlyMap<string, string> = new Map([
  ['/oauth/token invalid_grant', 'grant'],
  ['/oauth/token invalid_scope', 'grant'],
  ['/oauth/token invalid_target', 'grant'],
  ['/oauth/token unauthorized_client', 'grant'],
  ['/oauth/revoke invalid_grant', 'revocation'],
  ['/oauth/register invalid_token', 'registration_token'],
])

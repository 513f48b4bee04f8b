import {
  linkIdentity,
  type ResolvedUser,
  resolveUpstreamUser,
} from '#/domain/identities/resolve-upstream-user.ts'
import { type Profile, type Provider, UpstreamError } from '#/domain/identity-providers/provider.ts'
import { consumeProof } from '#/domain/proofs/used-proofs.ts'
import type { LoginFailureReason, UpstreamResult } from '#/protocol/vocabulary.ts'
import { safePath } from '#/web/guards/safe-path.ts'
import { countFailure, enforceCeiling, notingLimit } from '#/web/limits/limit-failures.ts'
import { afterForm } from '#/web/pages/leave.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext } from '#/web/request/context.ts'
import { noteFailedSignIn, noteRefusal } from '#/web/request/note-refusal.ts'
import { signIn, signInMoment } from '#/web/sessions/sign-in.ts'
import type { UpstreamOptions } from './options.ts'
import { renderRefusedPage, securityPath } from './pages.ts'
import { leftAt, type PendingSignIn } from './pending.ts'
import { requireProvider } from './provider.ts'

type ProviderRefusal = UpstreamError['result']

export async function getCallback(c: AppContext, options: UpstreamOptions) {
  const provider = requireProvider(c, options)
  await limited(c, provider, () => enforceCeiling(c, options.callbackLimits))
  const start = performance.now()
  const seconds = () => (performance.now() - start) / 1000
  const pending = await findPending(c, options, provider)
  const visit = { options, provider, pending, seconds }
  try {
    return await complete(c, visit)
  } catch (error) {
    if (!(error instanceof PageError)) record(c, visit, 'error')
    throw error
  }
}

async function complete(c: AppContext, visit: Visit): Promise<Response> {
  const { options, provider, pending } = visit
  const isFirst = pending !== undefined && (await isFirstUse(options, provider, pending))
  // Until here a browser whose request failed for our reasons may repeat it.
  if (pending) options.pending.forget(c, pending.state)
  if (pending && !isFirst)
    noteRefusal(c.var, 'replayed_proof', { details: { reason: 'bad_state' } })
  if (!isFirst) return refuse(c, visit, { result: 'bad_state' })
  const profile = await identify(c, provider, pending)
  if (typeof profile === 'string') return refuse(c, visit, { result: profile })
  return pending.linkFor === undefined ? enter(c, visit, profile) : link(c, visit, profile)
}

interface Visit {
  readonly options: UpstreamOptions
  readonly provider: Provider
  /** What this browser left with; undefined when it did not. */
  readonly pending: PendingSignIn | undefined
  readonly seconds: () => number
}

async function findPending(
  c: AppContext,
  { pending: signIns }: UpstreamOptions,
  { source }: Provider,
): Promise<PendingSignIn | undefined> {
  const [state = '', ...more] = c.req.queries('state') ?? []
  const pending = more.length === 0 ? await signIns.find(c, state) : undefined
  // RFC 9700 §4.4.2.2: an answer at the address of another provider than the one that was asked is an attack.
  if (pending?.provider !== source) return undefined
  // A link is for the very session that asked for it, as long as it lives.
  const { linkFor } = pending
  if (linkFor === undefined || linkFor === c.var.signedIn?.session.id) return pending
  signIns.forget(c, state)
  return undefined
}

/** The state is used up before the provider is asked anything. */
const isFirstUse = (
  { db }: UpstreamOptions,
  { source }: Provider,
  { state, expiresAt }: PendingSignIn,
): Promise<boolean> =>
  consumeProof(db, {
    kind: 'upstream_state',
    owner: source,
    jti: state,
    expiresAt: new Date(expiresAt),
  })

/** The profile of the user who came back, or why there is none. */
async function identify(
  c: AppContext,
  provider: Provider,
  pending: PendingSignIn,
): Promise<Profile | ProviderRefusal> {
  try {
    return await provider.finish(new URL(c.req.url).searchParams, {
      ...pending,
      secondsAway: Math.ceil((c.var.now.getTime() - leftAt(pending)) / 1000),
    })
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    const { result, message: reason } = error
    c.var.log.warn(
      { provider: provider.source, result, reason },
      'a sign-in with an identity provider failed',
    )
    return result
  }
}

async function enter(c: AppContext, visit: Visit, profile: Profile) {
  const { options } = visit
  const { source, trustEmail } = visit.provider
  const { origin, now } = c.var
  const { db, autoRegister, isReserved } = options
  const arrival = { source, profile, trustEmail, autoRegister, isReserved, origin, now }
  const { result, user } = await resolveUpstreamUser(db, arrival)
  if (!isWelcome(result)) return refuse(c, visit, { result, user })
  const remember = visit.pending?.remember === true
  const redirect = safePath(visit.pending?.redirect, '/')
  const at = await signInMoment(c, db, redirect)
  const authTime = authTimeOf(profile, visit.pending, at)
  const way = { source, identity: profile, remember, authTime, now: at }
  if (!user || !(await signIn(c, options, { user, ...way })))
    return refuse(c, visit, { result: 'account_inactive', user })
  record(c, visit, result)
  // The provider's own form may have come before.
  return c.redirect(afterForm(c, redirect), 303)
}

/** The time that the provider gives; after a forced sign-in, at least the moment the browser left, in case its clock is behind. */
function authTimeOf({ authTime }: Profile, pending: PendingSignIn | undefined, now: Date) {
  if (authTime === undefined) return undefined
  const earliest = pending?.maxAge === 0 ? leftAt(pending) : 0
  return new Date(Math.min(Math.max(authTime * 1000, earliest), now.getTime()))
}

async function link(c: AppContext, visit: Visit, profile: Profile) {
  const { source } = visit.provider
  const { origin, now, signedIn } = c.var
  if (!signedIn) return refuse(c, visit, { result: 'bad_state' })
  const { user } = signedIn
  const result = await linkIdentity(visit.options.db, user, { source, profile, origin, now })
  if (result !== 'linked') return refuse(c, visit, { result, user })
  record(c, visit, result)
  return c.redirect(`${securityPath}?notice=linked`, 303)
}

const isWelcome = (result: UpstreamResult): result is 'success' | 'linked' | 'registered' =>
  ['success', 'linked', 'registered'].includes(result)

const limited = (c: AppContext, { source }: Provider, enforce: () => Promise<unknown>) =>
  notingLimit(enforce, () => {
    c.var.recorder.upstreamCallback(source, 'rate_limited')
    c.var.recorder.loginRefused('rate_limited')
  })

/** Results that call for no limit: users change their minds, and providers are down. */
const isOrdinary = (result: ProviderRefusal) =>
  result === 'access_denied' || result === 'unavailable'

/** Linking is no sign-in, and counts as none. */
function record(c: AppContext, { provider, pending, seconds }: Visit, result: UpstreamResult) {
  const { recorder } = c.var
  const { source } = provider
  recorder.upstreamCallback(source, result)
  if (pending?.linkFor !== undefined) return
  const attempt = { method: 'oauth', source, seconds: seconds() } as const
  if (isWelcome(result)) recorder.loginAttempted({ ...attempt, result: 'success' })
  else recorder.loginAttempted({ ...attempt, result: 'failure', reason: reasonOf(result) })
}

function reasonOf(result: UpstreamResult): LoginFailureReason {
  if (result === 'account_inactive' || result === 'error') return result
  const known = ['registration_off', 'email_missing', 'email_taken'].includes(result)
  return known ? 'not_admitted' : 'upstream'
}

/** Audits and counts a refusal and explains it. Callbacks that match no pending sign-in are only counted: anyone can forge them. */
async function refuse(
  c: AppContext,
  visit: Visit,
  { result, user }: { result: ProviderRefusal; user?: ResolvedUser['user'] },
) {
  const { options, provider, pending } = visit
  const { source, title } = provider
  if (!isOrdinary(result)) await limited(c, provider, () => countFailure(c, options.callbackLimits))
  if (result !== 'bad_state') noteFailedSignIn(c, { user, reason: result, auth_source: source })
  record(c, visit, result)
  const linking = pending?.linkFor !== undefined
  const about = { provider: title, redirect: pending?.redirect, linking }
  const { page, status } = renderRefusedPage(result, about)
  return c.html(await page, status)
}

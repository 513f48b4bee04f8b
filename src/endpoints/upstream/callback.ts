import { writeAudit } from '#/domain/audit/audit.ts'
import { type Admission, admit } from '#/domain/identities/admit.ts'
import { type Provider, UpstreamError } from '#/domain/identity-providers/provider.ts'
import { useProof } from '#/domain/proofs/used-proofs.ts'
import type { LoginFailureReason, UpstreamResult } from '#/protocol/vocabulary.ts'
import { networkOf } from '#/web/client-address.ts'
import type { AppContext } from '#/web/context.ts'
import { PageError } from '#/web/page-error.ts'
import { enforceLimit } from '#/web/rate-limit.ts'
import { safePath } from '#/web/safe-path.ts'
import { signIn } from '#/web/sign-in.ts'
import { renderRefusedPage } from './pages.ts'
import type { Pending } from './pending.ts'
import { requireProvider } from './provider.ts'
import type { UpstreamOptions } from './routes.ts'

type Refusal = UpstreamError['result']

interface Outcome {
  readonly admission: Admission | { readonly result: Refusal; readonly user?: undefined }
  readonly pending: Pending | undefined
}

export async function getCallback(c: AppContext, options: UpstreamOptions) {
  const provider = requireProvider(c, options)
  await limited(c, options, provider)
  const start = performance.now()
  const seconds = () => (performance.now() - start) / 1000
  try {
    const { admission, pending } = await arrive(c, options, provider)
    const { result, user } = admission
    if (pending && user && isWelcome(result)) {
      const { remember } = pending
      if (await signIn(c, options, { user, source: provider.source, remember })) {
        record(c, provider, { result, seconds: seconds() })
        return c.redirect(safePath(pending.redirect, '/'), 303)
      }
    }
    const refused = isWelcome(result) ? 'account_inactive' : result
    if (refused !== 'bad_state') await auditFailure(c, options, { provider, refused, user })
    record(c, provider, { result: refused, seconds: seconds() })
    return refusedPage(c, provider, { refused, redirect: pending?.redirect })
  } catch (error) {
    record(c, provider, { result: 'error', seconds: seconds() })
    throw error
  }
}

const isWelcome = (result: UpstreamResult): result is 'success' | 'linked' | 'registered' =>
  ['success', 'linked', 'registered'].includes(result)

/** Who came back, and from what. The state is used up before the provider is asked anything. */
async function arrive(
  c: AppContext,
  { db, pending: signIns, autoRegister }: UpstreamOptions,
  provider: Provider,
): Promise<Outcome> {
  const answer = new URL(c.req.url).searchParams
  const states = answer.getAll('state')
  const [state = ''] = states
  const pending = states.length === 1 ? await signIns.find(c, state) : undefined
  // RFC 9700 §4.4.2.2: an answer at the address of another provider than the one that was asked is an attack.
  if (pending?.provider !== provider.source)
    return { admission: { result: 'bad_state' }, pending: undefined }
  signIns.forget(c, state)
  const used = { kind: 'upstream_state', owner: provider.source, jti: state } as const
  if (!(await useProof(db, { ...used, expiresAt: new Date(pending.expiresAt) })))
    return { admission: { result: 'bad_state' }, pending: undefined }
  try {
    const profile = await provider.finish(answer, pending)
    const { source, trustEmail } = provider
    const { origin, now } = c.var
    const arrival = { source, profile, trustEmail, autoRegister, origin, now }
    return { admission: await admit(db, arrival), pending }
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    const { result, message } = error
    c.var.log.warn({ provider: provider.source, result, reason: message }, 'a sign-in failed')
    return { admission: { result }, pending }
  }
}

async function limited(
  c: AppContext,
  { db, callbackLimiter }: UpstreamOptions,
  { source }: Provider,
) {
  try {
    await enforceLimit(c, db, callbackLimiter, networkOf(c.var.address))
  } catch (error) {
    if (error instanceof PageError) {
      c.var.recorder.upstreamCallback(source, 'rate_limited')
      c.var.recorder.loginRefused('rate_limited')
    }
    throw error
  }
}

function record(
  c: AppContext,
  { source }: Provider,
  { result, seconds }: { result: UpstreamResult; seconds: number },
) {
  const { recorder } = c.var
  recorder.upstreamCallback(source, result)
  const attempt = { method: 'oauth', source, seconds } as const
  if (isWelcome(result)) recorder.loginAttempted({ ...attempt, result: 'success' })
  else recorder.loginAttempted({ ...attempt, result: 'failure', reason: reasonOf(result) })
}

function reasonOf(result: UpstreamResult): LoginFailureReason {
  if (result === 'account_inactive' || result === 'error') return result
  const known = ['registration_off', 'email_missing', 'email_taken'].includes(result)
  return known ? 'not_admitted' : 'upstream'
}

async function auditFailure(
  c: AppContext,
  { db }: UpstreamOptions,
  { provider, refused, user }: { provider: Provider; refused: Refusal; user: Admission['user'] },
) {
  await writeAudit(db, c.var.origin, {
    type: 'AUTHENTICATION_FAILURE',
    at: c.var.now,
    success: false,
    actor: user,
    details: { reason: refused, auth_source: provider.source },
  })
}

async function refusedPage(
  c: AppContext,
  { title }: Provider,
  { refused, redirect }: { refused: Refusal; redirect: string | undefined },
) {
  const { page, status } = renderRefusedPage(refused, { provider: title, redirect })
  return c.html(await page, status)
}

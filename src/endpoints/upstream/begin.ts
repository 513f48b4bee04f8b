import { maxAgeOf } from '#/domain/authorization-requests/authorization-requests.ts'
import { type Provider, UpstreamError } from '#/domain/identity-providers/provider.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import { findWaitingRequest } from '#/web/authorization-request/waiting-request.ts'
import { isFromOwnSite } from '#/web/guards/own-site.ts'
import { safePath } from '#/web/guards/safe-path.ts'
import { countFailure, enforceCeiling, notingLimit } from '#/web/limits/limit-failures.ts'
import type { AppContext } from '#/web/request/context.ts'
import { signedInUser } from '#/web/sessions/current-user.ts'
import type { UpstreamOptions } from './options.ts'
import { renderOnwardPage, renderRefusedPage, securityPath } from './pages.ts'
import { requireProvider } from './provider.ts'

/** A longer way back would not fit into a cookie. */
const maxRedirect = 1024
const startPage = '/account/devices'

export async function getLogin(c: AppContext, options: UpstreamOptions) {
  const provider = requireProvider(c, options)
  await limited(c, () => enforceCeiling(c, options.loginLimits))
  const asked = safePath(c.req.query('redirect'), startPage)
  const redirect = asked.length > maxRedirect ? startPage : asked
  const remember = c.req.query('remember_me') === '1'
  // Login CSRF: another site must not start a sign-in. The user can press the same link on our page.
  if (isFromOwnSite(c, options.issuer) === false)
    return c.redirect(signInPath(redirect, remember), 303)
  const url = await leave(c, options, {
    provider,
    redirect,
    remember,
    ...(await wishesOf(c, options, redirect)),
  })
  if (url) return c.redirect(url.href, 303)
  await limited(c, () => countFailure(c, options.loginLimits))
  c.var.recorder.loginRefused('upstream')
  return outOfReach(c, { provider: provider.title, redirect })
}

const signInPath = (redirect: string, remember: boolean) =>
  `/login?${new URLSearchParams({ redirect, ...(remember && { remember_me: '1' }) })}`

/** Begins to link a provider to the account of this session. */
export async function postLink(c: AppContext, options: UpstreamOptions) {
  const provider = requireProvider(c, options)
  await enforceCeiling(c, options.loginLimits)
  const { session } = signedInUser(c)
  const way = { provider, redirect: securityPath, remember: false, linkFor: session.id }
  const url = await leave(c, options, way)
  if (!url) {
    await countFailure(c, options.loginLimits)
    return outOfReach(c, { provider: provider.title, redirect: undefined, linking: true })
  }
  return c.html(await renderOnwardPage({ provider: provider.title, href: url.href }))
}

interface Way {
  readonly provider: Provider
  readonly redirect: string
  readonly remember: boolean
  readonly linkFor?: string
  readonly maxAge?: number | undefined
  readonly loginHint?: string | undefined
}

/** What the request that waits for this sign-in wants of it. */
async function wishesOf(c: AppContext, { db, clients }: UpstreamOptions, redirect: string) {
  const request = await findWaitingRequest(db, redirect, c.var.now)
  const client = request && (await clients.get(request.clientId))
  if (!client) return {}
  const { loginHint } = request.interaction
  return { maxAge: maxAgeOf(request, client), loginHint }
}

/** The provider's address for this browser, which now holds what it takes to come back; undefined if there is none. */
async function leave(
  c: AppContext,
  { pending }: UpstreamOptions,
  { provider, maxAge, loginHint, ...way }: Way,
) {
  const checks = { state: randomSecret(), verifier: randomSecret(), nonce: randomSecret() }
  const { source } = provider
  try {
    const url = await provider.begin({ ...checks, maxAge, loginHint })
    await pending.keep(c, {
      provider: source,
      ...checks,
      ...way,
      ...(maxAge !== undefined && { maxAge }),
    })
    return url
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    const { result, message: reason } = error
    c.var.log.warn(
      { provider: source, result, reason },
      'an identity provider could not be reached',
    )
    return undefined
  }
}

async function outOfReach(c: AppContext, about: Parameters<typeof renderRefusedPage>[1]) {
  const { page, status } = renderRefusedPage('unavailable', about)
  return c.html(await page, status)
}

const limited = (c: AppContext, enforce: () => Promise<unknown>) =>
  notingLimit(enforce, () => c.var.recorder.loginRefused('rate_limited'))

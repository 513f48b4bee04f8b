import { UpstreamError } from '#/domain/identity-providers/provider.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import { networkOf } from '#/web/client-address.ts'
import type { AppContext } from '#/web/context.ts'
import { PageError } from '#/web/page-error.ts'
import { enforceLimit } from '#/web/rate-limit.ts'
import { safePath } from '#/web/safe-path.ts'
import { renderRefusedPage } from './pages.ts'
import { requireProvider } from './provider.ts'
import type { UpstreamOptions } from './routes.ts'

/** A longer way back would not fit into a cookie. */
const longestRedirect = 1024
const startPage = '/account/devices'

export async function getLogin(c: AppContext, options: UpstreamOptions) {
  const provider = requireProvider(c, options)
  await limited(c, options)
  const asked = safePath(c.req.query('redirect'), startPage)
  const redirect = asked.length > longestRedirect ? startPage : asked
  const checks = { state: randomSecret(), verifier: randomSecret(), nonce: randomSecret() }
  const remember = c.req.query('remember_me') === '1'
  try {
    const url = await provider.begin(checks)
    await options.pending.keep(c, { provider: provider.source, ...checks, redirect, remember })
    return c.redirect(url.href, 303)
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    c.var.log.warn(
      { provider: provider.source, result: error.result, reason: error.message },
      'a provider could not be asked',
    )
    c.var.recorder.loginRefused('upstream')
    const { page, status } = renderRefusedPage('unavailable', {
      provider: provider.title,
      redirect,
    })
    return c.html(await page, status)
  }
}

async function limited(c: AppContext, { db, loginLimiter }: UpstreamOptions) {
  try {
    await enforceLimit(c, db, loginLimiter, networkOf(c.var.address))
  } catch (error) {
    if (error instanceof PageError) c.var.recorder.loginRefused('rate_limited')
    throw error
  }
}

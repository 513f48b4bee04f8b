/** Headers of every answer: nothing is cached, framed, sniffed or scripted by others unless a handler says so. */
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '#/web/request/context.ts'

export function securityHeaders({ secure }: { secure: boolean }): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    await next()
    const headers = c.res.headers
    // A browser follows the redirects of a form only to places named here, so pages on the way to a client name it.
    const { formActions = [] } = c.var
    const formAction =
      formActions === 'anywhere' ? '' : ` form-action ${["'self'", ...formActions].join(' ')};`
    const images = ["'self'", 'data:', ...(c.var.images ?? [])].join(' ')
    // Only assets are served with a script type, and nosniff forbids guessing, so no other answer can run as a script.
    const scripts = (c.var.scripts ?? ["'self'"]).join(' ')
    headers.set(
      'content-security-policy',
      `default-src 'none'; script-src ${scripts}; style-src 'self'; img-src ${images};${formAction} frame-ancestors 'none'; base-uri 'none'`,
    )
    headers.set('x-content-type-options', 'nosniff')
    headers.set('x-frame-options', 'DENY')
    headers.set('referrer-policy', 'same-origin')
    headers.set('cross-origin-opener-policy', 'same-origin')
    headers.set('permissions-policy', 'camera=(), microphone=(), geolocation=()')
    if (secure) headers.set('strict-transport-security', 'max-age=31536000; includeSubDomains')
    if (!headers.has('cache-control')) headers.set('cache-control', 'no-store')
  }
}

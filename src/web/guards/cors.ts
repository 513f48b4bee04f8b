/**
 * Which sites' scripts may call us (Fetch standard, CORS). The endpoints named here take no cookie: whoever calls them shows
 * a token or a secret, so letting every origin read the answer gives nothing away. Pages and cookies are never among them.
 */
import type { Hono, MiddlewareHandler } from 'hono'
import type { AppEnv } from '#/web/request/context.ts'

export interface CorsOptions {
  readonly enabled: boolean
  /** `*` for every origin. */
  readonly origins: readonly string[]
  readonly maxAgeMs: number
}

const calledByScripts = [
  '/.well-known/*',
  '/oauth/token',
  '/oauth/tokeninfo',
  '/oauth/userinfo',
  '/oauth/introspect',
  '/oauth/revoke',
  '/oauth/device/code',
  '/oauth/par',
  '/oauth/register',
  '/oauth/register/*',
] as const

// RFC 9449 §8.2: a script must be able to read the nonce that it is asked to use.
const readable = 'DPoP-Nonce,WWW-Authenticate,Retry-After,RateLimit,RateLimit-Policy'

/** To be called before the endpoints are mounted. */
export function allowOrigins(app: Hono<AppEnv>, options: CorsOptions): void {
  if (!options.enabled) return
  for (const path of calledByScripts) app.use(path, cors(options))
}

/** Headers are added to the finished answer: Hono makes a slow one of an answer that was begun before its handler. */
function cors({ origins, maxAgeMs }: CorsOptions): MiddlewareHandler<AppEnv> {
  const everyone = origins.includes('*')
  const preflight = {
    'access-control-allow-methods': 'GET,POST,PUT,DELETE',
    'access-control-allow-headers': 'Authorization,Content-Type,DPoP',
    'access-control-max-age': String(Math.floor(maxAgeMs / 1000)),
  }
  return async (c, next) => {
    const origin = c.req.header('origin')
    if (c.req.method === 'OPTIONS' && origin !== undefined) c.res = c.body(null, 204, preflight)
    else await next()
    const { headers } = c.res
    if (!everyone) headers.append('vary', 'Origin')
    if (everyone || (origin !== undefined && origins.includes(origin)))
      headers.set('access-control-allow-origin', everyone ? '*' : (origin ?? ''))
    if (origin !== undefined) headers.set('access-control-expose-headers', readable)
  }
}

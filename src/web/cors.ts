/**
 * Which sites' scripts may call us (Fetch standard, CORS). The endpoints named here take no cookie: whoever calls them shows
 * a token or a secret, so letting every origin read the answer gives nothing away. Pages and cookies are never among them.
 */
import type { Hono } from 'hono'
import { cors } from 'hono/cors'
import type { AppEnv } from './context.ts'

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

/** To be called before the endpoints are mounted. */
export function allowOrigins(app: Hono<AppEnv>, { enabled, origins, maxAgeMs }: CorsOptions): void {
  if (!enabled) return
  const handler = cors({
    origin: origins.includes('*') ? '*' : [...origins],
    allowMethods: ['GET', 'POST', 'PUT', 'DELETE'],
    // RFC 9449 §8.2: a script must be able to read the nonce that it is asked to use.
    allowHeaders: ['Authorization', 'Content-Type', 'DPoP'],
    exposeHeaders: [
      'DPoP-Nonce',
      'WWW-Authenticate',
      'Retry-After',
      'RateLimit',
      'RateLimit-Policy',
    ],
    maxAge: Math.floor(maxAgeMs / 1000),
  })
  for (const path of calledByScripts) app.use(path, handler)
}

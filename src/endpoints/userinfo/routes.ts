/** GET and POST /oauth/userinfo (OIDC Core §5.3): what an access token may know about its user. */
import { Hono } from 'hono'
import type { Database } from '#/database/client.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { findLiveAccessToken } from '#/domain/tokens/tokens.ts'
import { verifyAccessToken } from '#/domain/tokens/verify-access-token.ts'
import { userClaims } from '#/domain/users/claims.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { hasScope } from '#/protocol/scopes.ts'
import type { AppContext, AppEnv } from '#/web/context.ts'
import { readForm } from '#/web/forms.ts'

export interface UserinfoOptions {
  readonly db: Database
  readonly issuer: string
  readonly keys: () => Promise<KeySet>
}

export function userinfoRoutes(options: UserinfoOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().on(['GET', 'POST'], '/oauth/userinfo', (c) =>
    answerUserinfo(c, options),
  )
}

async function answerUserinfo(c: AppContext, options: UserinfoOptions) {
  const presented = await readBearerToken(c)
  if (presented === undefined) {
    // RFC 6750 §3.1: no token, no error code; a bare challenge.
    c.header('www-authenticate', 'Bearer realm="authgate"')
    return c.body(null, 401)
  }
  const { token, user } = await requireLive(c, presented, options)
  if (!user || !hasScope(token.scope, 'openid'))
    throw new OAuthError('insufficient_scope', 'the token lacks the openid scope')
  return c.json({ sub: user.id, ...userClaims(user, token.scope) })
}

async function requireLive(
  c: AppContext,
  presented: string,
  { db, issuer, keys }: UserinfoOptions,
) {
  const start = performance.now()
  const expected = { issuer, audience: issuer, now: c.var.now }
  const verified = await verifyAccessToken(await keys(), presented, expected)
  const live =
    verified.result === 'valid' ? await findLiveAccessToken(db, verified.id, c.var.now) : undefined
  const result = live ? 'valid' : verified.result === 'expired' ? 'expired' : 'invalid'
  c.var.recorder.tokenValidated(result, (performance.now() - start) / 1000)
  if (!live)
    throw new OAuthError(
      'invalid_token',
      `the access token is ${result === 'expired' ? 'expired' : 'not valid'}`,
    )
  return live
}

/** RFC 6750 §2.1 and §2.2: in the header or in a form body, never both; never in the query. */
async function readBearerToken(c: AppContext): Promise<string | undefined> {
  const header = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(c.req.header('authorization') ?? '')?.[1]
  const isForm =
    c.req.method === 'POST' &&
    c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded')
  const body = isForm ? (await readForm(c)).get('access_token') : undefined
  if (header !== undefined && body !== undefined) {
    throw new OAuthError('invalid_request', 'send the access token once')
  }
  return header ?? body
}

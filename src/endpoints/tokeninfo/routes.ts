/** GET /oauth/tokeninfo: describes an active access token to its holder. No RFC defines it; command-line clients use it. */
import { Hono } from 'hono'
import { subjectOf } from '#/domain/clients/subject.ts'
import { audienceOf, toNumericDate } from '#/domain/tokens/token-claims.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { type AccessTokenOptions, readAccessToken } from '#/web/clients/access-token.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'

export function tokeninfoRoutes(options: AccessTokenOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().get('/oauth/tokeninfo', (c) => getTokeninfo(c, options))
}

async function getTokeninfo(c: AppContext, options: AccessTokenOptions) {
  const { issuer } = options
  const live = await readAccessToken(c, { ...options, anyAudience: true, bareToken: true })
  if (!live)
    throw new OAuthError('missing_token', 'the Authorization header contains no access token', {
      status: 401,
    })
  const { token, client, user } = live
  return c.json({
    active: true,
    user_id: user ? subjectOf(client, user.id, await options.keys()) : client.clientId,
    subject_type: user ? 'user' : 'client',
    client_id: client.clientId,
    scope: token.scope,
    exp: toNumericDate(token.expiresAt),
    iss: issuer,
    // A resource server that checks a presented token has to see its audience.
    aud: audienceOf(issuer, token),
  })
}

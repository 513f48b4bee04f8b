/** GET and POST /oauth/userinfo (OIDC Core §5.3): what an access token may know about its user. */
import { Hono } from 'hono'
import { subjectOf } from '#/domain/clients/subject.ts'
import { userClaims } from '#/domain/users/claims.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { hasScope } from '#/protocol/scopes.ts'
import { type AccessTokenOptions, challengeForToken, readAccessToken } from '#/web/access-token.ts'
import type { AppContext, AppEnv } from '#/web/context.ts'

export type UserinfoOptions = AccessTokenOptions

export function userinfoRoutes(options: UserinfoOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().on(['GET', 'POST'], '/oauth/userinfo', (c) =>
    answerUserinfo(c, options),
  )
}

async function answerUserinfo(c: AppContext, options: UserinfoOptions) {
  const live = await readAccessToken(c, options)
  if (!live) return challengeForToken(c)
  const { token, client, user } = live
  if (!user || !hasScope(token.scope, 'openid'))
    throw new OAuthError('insufficient_scope', 'the token lacks the openid scope')
  const sub = subjectOf(client, user.id, await options.keys())
  return c.json({ sub, ...userClaims(user, token.scope) })
}

/** GET and POST /oauth/userinfo (OIDC Core §5.3): what an access token may know about its user, signed where the client wants it so. */
import { Hono } from 'hono'
import { subjectOf } from '#/domain/clients/subject.ts'
import { signJwt } from '#/domain/keys/sign.ts'
import { claimsOf } from '#/domain/users/claims.ts'
import { selectClaims } from '#/protocol/claims.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { hasScope } from '#/protocol/scopes.ts'
import {
  type AccessTokenOptions,
  challengeForToken,
  readAccessToken,
} from '#/web/clients/access-token.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'

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
    throw new OAuthError('insufficient_scope', 'the access token does not have the openid scope')
  const keys = await options.keys()
  const asked = token.details.claims?.userinfo
  const claims = {
    sub: subjectOf(client, user.id, keys),
    ...claimsOf(user, selectClaims(token.scope, asked)),
  }
  const algorithm = client.userinfoSignedResponseAlg
  if (algorithm === null) return c.json(claims)
  const contents = { ...claims, iss: options.issuer, aud: client.clientId }
  const jwt = await signJwt(keys, { algorithm, typ: 'JWT' }, contents)
  return c.body(jwt, 200, { 'content-type': 'application/jwt' })
}

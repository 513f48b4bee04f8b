/** From committed rows to the answer: sign, count, name the lifetime. Shared by the grants. */
import { subjectOf } from '#/domain/clients/subject.ts'
import { signAccessToken, signIdToken } from '#/domain/tokens/sign-tokens.ts'
import type { Token } from '#/domain/tokens/tokens.ts'
import type { User } from '#/domain/users/users.ts'
import type { GrantType } from '#/protocol/grant-types.ts'
import { hasScope } from '#/protocol/scopes.ts'
import type { GrantContext, TokenResponse } from './grant.ts'

export interface Issued {
  readonly grantType: GrantType
  readonly access: Token
  /** Undefined when the client acts for itself. */
  readonly user: User | undefined
  /** False for grants without a sign-in. */
  readonly idToken?: boolean
  readonly nonce?: string | null
  /** The refresh token in the response. */
  readonly refreshToken?: string | undefined
  /** Whether a new refresh token was stored for it. */
  readonly refreshIssued?: boolean
}

export async function respond(context: GrantContext, issued: Issued): Promise<TokenResponse> {
  const { access, user, refreshToken, grantType } = issued
  const { recorder, issuer, client, keys, extraClaims: extra } = context
  const timed = async (signing: Promise<string>) => {
    const start = performance.now()
    const token = await signing
    recorder.tokenSigned((performance.now() - start) / 1000)
    return token
  }
  const subject = user ? subjectOf(client, user.id, keys) : client.clientId
  const accessToken = await timed(signAccessToken(keys, { issuer, token: access, subject, extra }))
  const idToken =
    user && issued.idToken !== false && hasScope(access.scope, 'openid')
      ? await timed(
          signIdToken(keys, {
            issuer,
            subject,
            user,
            access,
            accessToken,
            nonce: issued.nonce ?? null,
            algorithm: client.idTokenSignedResponseAlg,
          }),
        )
      : undefined
  recorder.tokenIssued('access', grantType)
  if (issued.refreshIssued) recorder.tokenIssued('refresh', grantType)
  if (idToken !== undefined) recorder.tokenIssued('id', grantType)
  return {
    access_token: accessToken,
    token_type: access.dpopJkt === null ? 'Bearer' : 'DPoP',
    expires_in: Math.floor((access.expiresAt.getTime() - access.createdAt.getTime()) / 1000),
    ...(access.scope !== '' && { scope: access.scope }),
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
    ...(idToken !== undefined && { id_token: idToken }),
  }
}

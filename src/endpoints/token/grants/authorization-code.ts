/** RFC 6749 §4.1.3 with PKCE (RFC 7636 §4.5). */
import { z } from 'zod'
import { redeemCode } from '#/domain/authorization-codes/redeem-code.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { isCodeVerifier } from '#/protocol/pkce.ts'
import { recordRevokedTokens } from '#/web/sessions/record-ended.ts'
import { defineGrant } from '../grant.ts'
import { respond } from '../respond.ts'

export const authorizationCode = defineGrant({
  grantType: 'authorization_code',
  parameters: z.object({
    code: z.string(),
    redirect_uri: z.string(),
    code_verifier: z.string().refine(isCodeVerifier).optional(),
  }),
  async issue(context, parameters) {
    const { db, client, recorder } = context
    const redemption = await redeemCode(
      db,
      {
        code: parameters.code,
        clientId: client.clientId,
        clientVersion: client.version,
        redirectUri: parameters.redirect_uri,
        codeVerifier: parameters.code_verifier,
        lifetimes: context.lifetimes,
        dpopJkt: context.dpopJkt,
        bindRefresh: client.type === 'public',
        resources: context.resources,
        refreshTokens: context.refreshTokens,
        endsWithSession: context.endsWithSession,
        now: context.now,
      },
      context.origin,
    )
    if (redemption.result === 'redeemed') {
      recorder.authorizationCode('redeemed')
      const { access, user, refreshToken, code } = redemption
      const refreshIssued = refreshToken !== undefined
      return respond(context, {
        grantType: 'authorization_code',
        access,
        user,
        nonce: code.nonce,
        refreshToken,
        refreshIssued,
      })
    }
    if (redemption.result === 'replayed') {
      recorder.authorizationCode('replayed')
      recordRevokedTokens(recorder, redemption.revoked)
    }
    throw new OAuthError('invalid_grant', 'the authorization code is not valid')
  },
})

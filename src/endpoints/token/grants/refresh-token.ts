/** RFC 6749 §6 with rotation (RFC 9700 §4.14.2). */
import { z } from 'zod'
import { StaleClientError } from '#/domain/clients/client-version.ts'
import { type Refreshed, refreshTokens } from '#/domain/tokens/refresh-tokens.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { requireScope } from '#/protocol/scopes.ts'
import type { RefreshResult } from '#/protocol/vocabulary.ts'
import { recordRevokedTokens } from '#/web/sessions/record-ended.ts'
import { defineGrant, type GrantContext } from '../grant.ts'
import { respond } from '../respond.ts'

export const refreshToken = defineGrant({
  grantType: 'refresh_token',
  parameters: z.object({ refresh_token: z.string(), scope: z.string().optional() }),
  async issue(context, { refresh_token, scope }) {
    const refreshed = await refresh(context, refresh_token, scope)
    context.recorder.tokenRefreshed(refreshed.result)
    if (refreshed.result === 'success' || refreshed.result === 'grace') {
      const { access, user, rotated } = refreshed
      if (rotated) context.recorder.tokensRevoked('rotation', 'refresh', 1)
      return respond(context, {
        grantType: 'refresh_token',
        access,
        user,
        nonce: null,
        refreshToken: refreshed.refreshToken,
        refreshIssued: rotated,
      })
    }
    if (refreshed.result === 'reuse') recordRevokedTokens(context.recorder, refreshed.revoked)
    throw new OAuthError('invalid_grant', 'the refresh token is not valid')
  },
})

const refusals: Readonly<Record<string, RefreshResult>> = {
  invalid_scope: 'scope',
  invalid_target: 'scope',
  invalid_grant: 'key_mismatch',
}

/** Counts the ways in which a refresh is refused by throwing, so that every request has one outcome. */
async function refresh(
  context: GrantContext,
  token: string,
  scope: string | undefined,
): Promise<Refreshed> {
  const { db, client, recorder, origin, now, lifetimes, secrets, resources, dpopJkt } = context
  const { graceMs } = context
  try {
    const asked = scope === undefined ? undefined : requireScope(scope)
    // RFC 9700 §2.2.2: a public client cannot prove that it is the one the token was issued to, so its tokens rotate.
    const authenticated = client.type === 'confidential'
    const rotate = !authenticated || (context.rotation && client.refreshTokenMode === 'rotating')
    const { clientId, version: clientVersion } = client
    const presented = {
      token,
      clientId,
      clientVersion,
      scope: asked,
      resources,
      dpopJkt,
      rotate,
      authenticated,
    }
    return await refreshTokens(db, { ...presented, graceMs, lifetimes, secrets, now }, origin)
  } catch (error) {
    // It will be judged again.
    if (error instanceof StaleClientError) throw error
    const code = error instanceof OAuthError ? error.code : undefined
    recorder.tokenRefreshed(refusals[code ?? 'server_error'] ?? 'error')
    throw error
  }
}

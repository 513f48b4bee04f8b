/** Redeeming an authorization code (RFC 6749 §4.1.3): consume it, check it, and store its tokens, in one transaction. */
import type { Database } from '#/database/client.ts'
import type { User } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import {
  type AuthorizationCode,
  consumeAuthorizationCode,
  findAuthorizationCode,
} from '#/domain/authorization-codes/authorization-codes.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { matchesChallenge } from '#/protocol/pkce.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { earnsRefreshToken, narrowResources } from './narrow.ts'
import { endStolenFamily, type RevokedTokens } from './revoke-tokens.ts'
import { entitleCode, insertTokens, type Token, type TokenLifetimes } from './tokens.ts'

export interface PresentedCode {
  readonly code: string
  readonly clientId: string
  readonly redirectUri: string
  readonly codeVerifier: string | undefined
  /** Key of the DPoP proof that came along. */
  readonly dpopJkt: string | null
  /** Whether a refresh token is bound to that key, too: those of public clients are (RFC 9449 §5). */
  readonly bindRefresh: boolean
  /** What the access token is for; undefined for all that was granted (RFC 8707 §2.2). */
  readonly resources: readonly string[] | undefined
  readonly lifetimes: TokenLifetimes
  /** Whether this client may have refresh tokens. */
  readonly refreshTokens: boolean
  readonly now: Date
}

export type Redemption =
  | {
      readonly result: 'redeemed'
      readonly code: AuthorizationCode
      readonly access: Token
      readonly user: User
      readonly refreshToken: string | undefined
    }
  | { readonly result: 'replayed'; readonly revoked: RevokedTokens }
  | { readonly result: 'invalid' }

/**
 * A wrong redirect URI or verifier throws, which rolls back and leaves the code unused. A code that was used before
 * ends its family, and that is committed (RFC 6749 §4.1.2, RFC 9700 §4.5).
 */
export function redeemCode(
  db: Database,
  presented: PresentedCode,
  origin: AuditOrigin,
): Promise<Redemption> {
  return span('tokens.redeem_code', () =>
    db.transaction(async (tx) => {
      const user = await entitleCode(tx, presented)
      const code = user && (await consumeAuthorizationCode(tx, presented))
      if (!code) return noticeReplay(tx, presented, origin)
      requireMatch(code, presented)
      const { dpopJkt, lifetimes, now } = presented
      const refreshToken =
        presented.refreshTokens && earnsRefreshToken(code.scope) ? randomSecret() : undefined
      const access = await insertTokens(tx, {
        grant: code,
        scope: code.scope,
        resources: narrowResources(code.resources, presented.resources),
        dpopJkt,
        refresh:
          refreshToken === undefined
            ? undefined
            : {
                token: refreshToken,
                scope: code.scope,
                familyExpiresAt: undefined,
                dpopJkt: presented.bindRefresh ? dpopJkt : null,
              },
        lifetimes,
        now,
      })
      await writeAudit(tx, origin, {
        type: 'AUTHORIZATION_CODE_EXCHANGED',
        at: presented.now,
        actor: user,
        clientId: code.clientId,
        resource: { type: 'token_family', id: code.familyId },
        details: { scope: code.scope, offline: refreshToken !== undefined },
      })
      return { result: 'redeemed', code, access, user, refreshToken }
    }),
  )
}

function requireMatch(code: AuthorizationCode, presented: PresentedCode) {
  const { now, redirectUri, codeVerifier, dpopJkt } = presented
  if (code.expiresAt <= now)
    throw new OAuthError('invalid_grant', 'the authorization code has expired')
  if (code.redirectUri !== redirectUri) {
    throw new OAuthError('invalid_grant', 'redirect_uri differs from the authorization request')
  }
  // RFC 7636 §4.6; a verifier without a challenge means that somebody took the challenge out (RFC 9700 §4.8.2).
  const matches =
    codeVerifier === undefined || code.codeChallenge === null
      ? codeVerifier === undefined && code.codeChallenge === null
      : matchesChallenge(codeVerifier, code.codeChallenge)
  if (!matches) {
    throw new OAuthError('invalid_grant', 'code_verifier does not match the code_challenge')
  }
  // RFC 9449 §10.
  if (code.dpopJkt !== null && code.dpopJkt !== dpopJkt) {
    throw new OAuthError('invalid_grant', 'the authorization code is bound to another key')
  }
}

async function noticeReplay(
  tx: Database,
  presented: PresentedCode,
  origin: AuditOrigin,
): Promise<Redemption> {
  const used = await findAuthorizationCode(tx, presented)
  if (!used?.consumedAt) return { result: 'invalid' }
  const { familyId, clientId } = used
  const theft = { familyId, clientId, reason: 'code_replay', now: presented.now } as const
  return { result: 'replayed', revoked: await endStolenFamily(tx, theft, origin) }
}

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
import { hasScope } from '#/protocol/scopes.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { endStolenFamily, type RevokedTokens } from './revoke-tokens.ts'
import { entitleCode, insertTokens, type Token, type TokenLifetimes } from './tokens.ts'

export interface PresentedCode {
  readonly code: string
  readonly clientId: string
  readonly redirectUri: string
  readonly codeVerifier: string
  readonly lifetimes: TokenLifetimes
  /** Whether `offline_access` earns a refresh token. */
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
      const refreshToken =
        presented.refreshTokens && hasScope(code.scope, 'offline_access')
          ? randomSecret()
          : undefined
      const access = await insertTokens(tx, {
        grant: code,
        scope: code.scope,
        refresh:
          refreshToken === undefined ? undefined : { token: refreshToken, scope: code.scope },
        lifetimes: presented.lifetimes,
        now: presented.now,
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

function requireMatch(code: AuthorizationCode, { now, redirectUri, codeVerifier }: PresentedCode) {
  if (code.expiresAt <= now)
    throw new OAuthError('invalid_grant', 'the authorization code has expired')
  if (code.redirectUri !== redirectUri) {
    throw new OAuthError('invalid_grant', 'redirect_uri differs from the authorization request')
  }
  // RFC 7636 §4.6.
  if (!matchesChallenge(codeVerifier, code.codeChallenge)) {
    throw new OAuthError('invalid_grant', 'code_verifier does not match the code_challenge')
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

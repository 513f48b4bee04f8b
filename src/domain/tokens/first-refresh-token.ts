import { randomSecret } from '#/protocol/secrets.ts'
import { mayRefresh } from './narrow.ts'
import type { NewRefreshToken } from './tokens.ts'

export interface RefreshPolicy {
  /** Whether this client may have refresh tokens. */
  readonly refreshTokens: boolean
  /** Key of the DPoP proof that came along. */
  readonly dpopJkt: string | null
  /** Whether a refresh token is bound to that key, too: those of public clients are (RFC 9449 §5). */
  readonly bindRefresh: boolean
}

/** The refresh token with which a family begins; undefined where client or scope earn none. */
export const firstRefreshToken = (
  scope: string,
  { refreshTokens, dpopJkt, bindRefresh }: RefreshPolicy,
): NewRefreshToken | undefined =>
  refreshTokens && mayRefresh(scope)
    ? {
        token: randomSecret(),
        scope,
        familyExpiresAt: undefined,
        dpopJkt: bindRefresh ? dpopJkt : null,
      }
    : undefined

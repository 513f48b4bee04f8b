/**
 * Refreshing (RFC 6749 §6) with rotation (RFC 9700 §4.14.2). The successor of a refresh token is an HMAC of it, so a
 * client that lost our answer and tries again is handed the very same one: for a short while, and only as long as the
 * successor is unused. Everything else that presents a used token is reuse, and ends the family.
 */
import type { Database } from '#/database/client.ts'
import type { User } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { deriveKey, hmac } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { narrowResources, narrowScope } from './narrow.ts'
import { endStolenFamily, type RevokedTokens } from './revoke-tokens.ts'
import {
  entitleRefreshToken,
  findRefreshToken,
  holdRefreshToken,
  insertTokens,
  type NewTokens,
  rotateRefreshToken,
  type Token,
  type TokenLifetimes,
} from './tokens.ts'

/** How long a retry of a used refresh token is answered with its successor. */
export const graceMs = 10_000

export interface PresentedRefreshToken {
  readonly token: string
  readonly clientId: string
  /** What the client asks for; undefined for all that was granted. */
  readonly scope: readonly string[] | undefined
  readonly resources: readonly string[] | undefined
  /** Key of the DPoP proof that came along. */
  readonly dpopJkt: string | null
  readonly rotate: boolean
  readonly lifetimes: TokenLifetimes
  /** Newest first; the newest derives, all recognise. */
  readonly secrets: readonly string[]
  readonly now: Date
}

export type Refreshed =
  | {
      readonly result: 'success' | 'grace'
      readonly access: Token
      readonly user: User
      readonly refreshToken: string
      readonly rotated: boolean
    }
  | { readonly result: 'reuse'; readonly revoked: RevokedTokens }
  | { readonly result: 'invalid' | 'expired' | 'revoked' | 'client_mismatch' }

/** Throws `invalid_scope`, which rolls back: the token stays unused. A withdrawn grant answers `revoked`. */
export function refreshTokens(
  db: Database,
  presented: PresentedRefreshToken,
  origin: AuditOrigin,
): Promise<Refreshed> {
  return span('tokens.refresh', () =>
    db.transaction(async (tx) => {
      const user = await entitleRefreshToken(tx, presented)
      const current =
        user && (await (presented.rotate ? rotateRefreshToken : holdRefreshToken)(tx, presented))
      if (!current) return explainUnusable(tx, presented, { user, origin })
      const successor = presented.rotate ? successors(presented)[0] : undefined
      const access = await insertTokens(tx, {
        ...accessFrom(current, presented),
        refresh: successor === undefined ? undefined : { ...current, token: successor },
      })
      await writeAudit(tx, origin, {
        type: 'TOKEN_REFRESHED',
        at: presented.now,
        actor: user,
        clientId: current.clientId,
        resource: { type: 'token_family', id: current.familyId },
        details: { scope: access.scope, rotated: presented.rotate },
      })
      return {
        result: 'success',
        access,
        user,
        refreshToken: successor ?? presented.token,
        rotated: presented.rotate,
      }
    }),
  )
}

/** Why a token could not be used: a retry within the grace period, a theft, or something harmless. */
async function explainUnusable(
  tx: Database,
  presented: PresentedRefreshToken,
  { user, origin }: { user: User | undefined; origin: AuditOrigin },
): Promise<Refreshed> {
  const row = await findRefreshToken(tx, presented.token)
  if (!row) return { result: 'invalid' }
  if (row.clientId !== presented.clientId) return { result: 'client_mismatch' }
  if (!row.revokedAt && row.expiresAt <= presented.now) return { result: 'expired' }
  if (!user || !row.revokedAt || row.revocationReason !== 'rotation') return { result: 'revoked' }
  const age = presented.now.getTime() - row.revokedAt.getTime()
  const successor = age < graceMs ? await findUnusedSuccessor(tx, presented) : undefined
  if (!successor) {
    const { familyId, clientId } = row
    const theft = { familyId, clientId, reason: 'reuse', now: presented.now } as const
    return { result: 'reuse', revoked: await endStolenFamily(tx, theft, origin) }
  }
  const access = await insertTokens(tx, accessFrom(row, presented))
  return { result: 'grace', access, user, refreshToken: successor, rotated: false }
}

async function findUnusedSuccessor(
  tx: Database,
  presented: PresentedRefreshToken,
): Promise<string | undefined> {
  for (const token of successors(presented)) {
    if (await holdRefreshToken(tx, { ...presented, token })) return token
  }
  return undefined
}

const successors = ({ secrets, token }: PresentedRefreshToken): string[] =>
  secrets.map((secret) => hmac(deriveKey(secret, 'refresh token successor'), token))

/** What a refresh token's access token is: at most what was granted, for the key that asked. */
function accessFrom(granted: Token, presented: PresentedRefreshToken): NewTokens {
  const { scope, resources, dpopJkt, lifetimes, now } = presented
  // RFC 9449 §5: a bound refresh token is of use to the holder of its key alone.
  if (granted.dpopJkt !== null && granted.dpopJkt !== dpopJkt)
    throw new OAuthError('invalid_grant', 'the refresh token is bound to another key')
  return {
    grant: granted,
    scope: narrowScope(granted.scope, scope),
    resources: narrowResources(granted.resources, resources),
    dpopJkt,
    lifetimes,
    now,
  }
}

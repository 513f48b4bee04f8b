/** Ending tokens before their time. Every way in is one guarded UPDATE whose returned rows are what is counted. */
import { and, eq, gt, isNull, type SQL } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import type { StoredTokenType, TokenRevocationReason } from '#/protocol/vocabulary.ts'

/** How many live tokens of each type ended. */
export type RevokedTokens = Readonly<Record<StoredTokenType, number>> & {
  readonly reason: TokenRevocationReason
}

interface Revocation {
  readonly reason: TokenRevocationReason
  readonly now: Date
}

export const revokeTokensOfUser = (
  tx: Database,
  userId: string,
  end: Revocation,
): Promise<RevokedTokens> => revokeTokens(tx, eq(tokens.userId, userId), end)

export const revokeTokensOfClient = (
  tx: Database,
  clientId: string,
  end: Revocation,
): Promise<RevokedTokens> => revokeTokens(tx, eq(tokens.clientId, clientId), end)

export const revokeTokensOfConsent = (
  tx: Database,
  { userId, clientId }: { userId: string; clientId: string },
  now: Date,
): Promise<RevokedTokens> =>
  revokeTokens(tx, and(eq(tokens.userId, userId), eq(tokens.clientId, clientId)), {
    reason: 'consent_revoked',
    now,
  })

export interface Theft {
  readonly familyId: string
  readonly clientId: string
  readonly reason: 'reuse' | 'code_replay'
  readonly now: Date
}

/** RFC 9700 §4.14.2: ends what a replayed code or refresh token has led to, and says so in the audit log. */
export async function endStolenFamily(
  tx: Database,
  theft: Theft,
  origin: AuditOrigin,
): Promise<RevokedTokens> {
  const { familyId, clientId, reason, now } = theft
  const revoked = await revokeFamily(tx, familyId, theft)
  await writeAudit(tx, origin, {
    type: 'SUSPICIOUS_ACTIVITY',
    at: now,
    success: false,
    clientId,
    resource: { type: 'token_family', id: familyId },
    details: { reason, access_ended: revoked.access, refresh_ended: revoked.refresh },
  })
  return revoked
}

/**
 * Ends everything that one approval has led to. A refresh under way may add a token meanwhile; its parent's row lock
 * makes the UPDATE wait for it, and the next look finds what it left.
 */
export async function revokeFamily(
  tx: Database,
  familyId: string,
  end: Revocation,
): Promise<RevokedTokens> {
  const family = eq(tokens.familyId, familyId)
  let { access, refresh } = await revokeTokens(tx, family, end)
  while (await hasLiveTokens(tx, family, end.now)) {
    const more = await revokeTokens(tx, family, end)
    access += more.access
    refresh += more.refresh
  }
  return { reason: end.reason, access, refresh }
}

/** Ends one token, and nothing else of its family. */
export const revokeToken = (tx: Database, id: string, end: Revocation): Promise<RevokedTokens> =>
  revokeTokens(tx, eq(tokens.id, id), end)

const hasLiveTokens = async (tx: Database, which: SQL, now: Date): Promise<boolean> =>
  (
    await tx
      .select({ id: tokens.id })
      .from(tokens)
      .where(and(which, isNull(tokens.revokedAt), gt(tokens.expiresAt, now)))
      .limit(1)
  ).length > 0

/** Expired rows are left alone: they had ended by themselves. */
async function revokeTokens(
  tx: Database,
  which: SQL | undefined,
  { reason, now }: Revocation,
): Promise<RevokedTokens> {
  const rows = await tx
    .update(tokens)
    .set({ revokedAt: now, revocationReason: reason })
    .where(and(which, isNull(tokens.revokedAt), gt(tokens.expiresAt, now)))
    .returning({ type: tokens.type })
  const access = rows.filter((row) => row.type === 'access').length
  return { reason, access, refresh: rows.length - access }
}

import { and, eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { type ByUser, writeAudit } from '#/domain/audit/audit.ts'
import { span } from '#/telemetry/tracing.ts'
import { type RevokedTokens, revokeFamily } from './revoke-tokens.ts'

/**
 * The user or an admin ends all tokens of one approval; undefined when there are no live ones by that id. `userId` is whose
 * they must be; an admin may leave it out.
 */
export function endTokenFamily(
  db: Database,
  { familyId, userId }: { readonly familyId: string; readonly userId?: string },
  by: ByUser,
): Promise<RevokedTokens | undefined> {
  return span('tokens.end_family', () =>
    db.transaction(async (tx) => {
      const [own] = await tx
        .select({ clientId: tokens.clientId, userId: tokens.userId })
        .from(tokens)
        .where(and(eq(tokens.familyId, familyId), userId ? eq(tokens.userId, userId) : undefined))
        .limit(1)
      if (!own) return undefined
      const reason = by.actor.id === own.userId ? 'user_request' : 'admin_request'
      const revoked = await revokeFamily(
        tx,
        { familyId, userId: own.userId },
        { reason, now: by.now },
      )
      if (revoked.access + revoked.refresh === 0) return undefined
      await writeAudit(tx, by.origin, {
        type: 'TOKEN_REVOKED',
        at: by.now,
        actor: by.actor,
        clientId: own.clientId,
        resource: { type: 'token_family', id: familyId },
        details: {
          ...(own.userId !== null && { user: own.userId }),
          reason: revoked.reason,
          access_ended: revoked.access,
          refresh_ended: revoked.refresh,
        },
      })
      return revoked
    }),
  )
}

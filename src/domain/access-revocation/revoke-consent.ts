import { and, eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { whereConsentInForce } from '#/domain/consents/consent-state.ts'
import type { RevokedTokens } from '#/domain/tokens/revoke-tokens.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import { span } from '#/telemetry/tracing.ts'
import { endOfUser } from './endings.ts'

interface Revocation {
  readonly id: string
  readonly user: { readonly id: string; readonly username: string }
  readonly admin?: { readonly id: string; readonly username: string }
  readonly now: Date
}

export interface RevokedConsent {
  readonly clientId: string
  readonly tokens: RevokedTokens
  /** Device codes that were approved and not yet redeemed. */
  readonly deviceCodes: number
}

/**
 * Takes back a user's consent, and with it the client's tokens; undefined when there was none in force. `admin` is who
 * did it, if it was not the user.
 */
export function revokeConsent(
  db: Database,
  { id, user, admin, now }: Revocation,
  origin: AuditOrigin,
): Promise<RevokedConsent | undefined> {
  return span('consents.revoke', () =>
    db.transaction(async (tx) => {
      await lockUser(tx, user.id)
      await waitForClient(tx, id)
      const [revoked] = await tx
        .update(consents)
        .set({ revokedAt: now })
        .where(and(eq(consents.id, id), eq(consents.userId, user.id), whereConsentInForce))
        .returning({ clientId: consents.clientId })
      if (!revoked) return undefined
      const of = { userId: user.id, clientId: revoked.clientId }
      const { tokens, deviceCodes } = await endOfUser(tx, 'consent_withdrawn', { ...of, now })
      await writeAudit(tx, origin, {
        type: 'USER_AUTHORIZATION_REVOKED',
        at: now,
        actor: admin ?? user,
        clientId: revoked.clientId,
        resource: admin ? { type: 'user', id: user.id } : { type: 'consent', id },
        details: {
          ...(admin && { consent: id }),
          access_ended: tokens.access,
          refresh_ended: tokens.refresh,
        },
      })
      return { clientId: revoked.clientId, tokens, deviceCodes }
    }),
  )
}

/** Locks the client first, as ending all of a client's access does, so that the two cannot deadlock. */
const waitForClient = (tx: Database, id: string) =>
  tx
    .select({ clientId: clients.clientId })
    .from(consents)
    .innerJoin(clients, eq(clients.clientId, consents.clientId))
    .where(eq(consents.id, id))
    .for('key share', { of: clients })

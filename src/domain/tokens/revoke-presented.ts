/** Ending a token because its client has no more use for it (RFC 7009). */
import { and, eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { type RevokedTokens, revokeFamily, revokeToken } from './revoke-tokens.ts'
import { verifyAccessToken } from './verify-access-token.ts'

export interface PresentedForRevocation {
  readonly token: string
  /** Undefined when the request names no client. */
  readonly caller: Client | undefined
  readonly issuer: string
  readonly now: Date
}

export type ClientRevocation =
  | { readonly result: 'revoked'; readonly revoked: RevokedTokens }
  /** Made up, or expired: there is nothing left to end (RFC 7009 §2.2). */
  | { readonly result: 'unknown' }
  /** It is the token of a client that this request has not proven to come from. */
  | { readonly result: 'foreign' }

/**
 * A refresh token takes its whole family with it, whatever has become of itself: who refreshed, lost the answer and now
 * signs out has no other word for it (RFC 7009 §2.1, SHOULD). An access token takes nothing with it but what was exchanged
 * for it: its client may refresh (MAY).
 */
export function revokePresentedToken(
  db: Database,
  keys: KeySet,
  { presented, origin }: { presented: PresentedForRevocation; origin: AuditOrigin },
): Promise<ClientRevocation> {
  const { caller, now } = presented
  return span('tokens.revoke_presented', async () => {
    const found = await findPresented(db, keys, presented)
    if (!found) return { result: 'unknown' }
    const { token, clientType } = found
    // A public client could prove no more than that it holds the token, so without a name that is enough, too.
    const isOwn = caller ? caller.clientId === token.clientId : clientType === 'public'
    if (!isOwn) return { result: 'foreign' }
    const revoked = await db.transaction((tx) => revoke(tx, { token, now, origin }))
    return { result: 'revoked', revoked }
  })
}

async function revoke(
  tx: Database,
  { token, now, origin }: { token: Token; now: Date; origin: AuditOrigin },
): Promise<RevokedTokens> {
  const end = { reason: 'client_request', now } as const
  const { type, familyId, clientId } = token
  const revoked =
    type === 'refresh' ? await revokeFamily(tx, token, end) : await revokeToken(tx, token, end)
  const { access, refresh } = revoked
  if (access + refresh > 0) {
    await writeAudit(tx, origin, {
      type: 'TOKEN_REVOKED',
      at: now,
      clientId,
      resource: { type: 'token_family', id: familyId },
      details: { type, access_ended: access, refresh_ended: refresh },
    })
  }
  return revoked
}

/** RFC 7009 §2.1: the hint may be wrong, and our tokens tell their type by their form. */
async function findPresented(
  db: Database,
  keys: KeySet,
  { token, issuer, now }: PresentedForRevocation,
): Promise<{ token: Token; clientType: Client['type'] } | undefined> {
  const isJwt = token.includes('.')
  const verified = isJwt
    ? await verifyAccessToken(keys, token, { issuer, audience: undefined, now })
    : undefined
  if (verified && verified.result !== 'valid') return undefined
  const rows = await db
    .select({ token: tokens, clientType: clients.type })
    .from(tokens)
    .innerJoin(clients, eq(clients.clientId, tokens.clientId))
    .where(
      verified
        ? and(eq(tokens.id, verified.id), eq(tokens.type, 'access'))
        : eq(tokens.secretHash, sha256(token)),
    )
  return rows[0]
}

/** A device asks for its tokens (RFC 8628 §3.4): it is told to wait, or the code is used up and its tokens are stored, at once. */
import { and, eq, gt, isNull } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { type DeviceCode, deviceCodes } from '#/database/schema/device-codes.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { earnsRefreshToken, narrowResources } from '#/domain/tokens/narrow.ts'
import { insertTokens, type Token, type TokenLifetimes } from '#/domain/tokens/tokens.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import type { DevicePollResult } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import {
  findDeviceCode,
  ofDevice,
  type PresentedDeviceCode,
  pollPendingDeviceCode,
} from './device-codes.ts'

export interface DevicePoll extends PresentedDeviceCode {
  /** Key of the DPoP proof that came along. */
  readonly dpopJkt: string | null
  /** Whether a refresh token is bound to that key, too: those of public clients are (RFC 9449 §5). */
  readonly bindRefresh: boolean
  /** What the access token is for; undefined for all that was granted (RFC 8707 §2.2). */
  readonly resources: readonly string[] | undefined
  readonly lifetimes: TokenLifetimes
  /** Whether this client may have refresh tokens. */
  readonly refreshTokens: boolean
}

export type DeviceRedemption =
  | {
      readonly result: 'success'
      readonly access: Token
      readonly user: User
      readonly refreshToken: string | undefined
    }
  | { readonly result: Exclude<DevicePollResult, 'success'> }

/** Throws `invalid_target`, which rolls back and leaves the code unused. */
export function redeemDeviceCode(
  db: Database,
  poll: DevicePoll,
  origin: AuditOrigin,
): Promise<DeviceRedemption> {
  return span('device_codes.redeem', async () => {
    const waiting = await pollPendingDeviceCode(db, poll)
    if (waiting) return { result: waiting }
    const before = await standing(db, poll)
    if (before !== 'approved') return { result: before }
    const redeemed = await db.transaction((tx) => redeemApproved(tx, poll, origin))
    if (redeemed) return redeemed
    const after = await standing(db, poll)
    // Still approved, but the user, the client or the consent is gone.
    return { result: after === 'approved' ? 'denied' : after }
  })
}

async function redeemApproved(
  tx: Database,
  poll: DevicePoll,
  origin: AuditOrigin,
): Promise<DeviceRedemption | undefined> {
  const user = await entitle(tx, poll)
  const code = user && (await consume(tx, poll))
  if (!code) return undefined
  const { dpopJkt, lifetimes, now } = poll
  const refreshToken =
    poll.refreshTokens && earnsRefreshToken(code.scope) ? randomSecret() : undefined
  const access = await insertTokens(tx, {
    // The device is not the browser that approved: it stays signed in when that one signs out.
    grant: { ...code, sessionId: null },
    scope: code.scope,
    resources: narrowResources(code.resources, poll.resources),
    dpopJkt,
    refresh:
      refreshToken === undefined
        ? undefined
        : {
            token: refreshToken,
            scope: code.scope,
            familyExpiresAt: undefined,
            dpopJkt: poll.bindRefresh ? dpopJkt : null,
          },
    lifetimes,
    now,
  })
  await writeAudit(tx, origin, {
    type: 'DEVICE_CODE_EXCHANGED',
    at: now,
    actor: user,
    clientId: code.clientId,
    resource: { type: 'token_family', id: code.familyId },
    details: { scope: code.scope, offline: refreshToken !== undefined },
  })
  return { result: 'success', access, user, refreshToken }
}

/** The user who approved, as `entitleCode` finds the one behind an authorization code. */
async function entitle(tx: Database, poll: DevicePoll): Promise<User | undefined> {
  const rows = await tx
    .select({ user: users })
    .from(deviceCodes)
    .innerJoin(users, and(eq(users.id, deviceCodes.userId), eq(users.isActive, true)))
    .innerJoin(
      clients,
      and(eq(clients.clientId, deviceCodes.clientId), eq(clients.status, 'active')),
    )
    .innerJoin(
      consents,
      and(
        eq(consents.userId, users.id),
        eq(consents.clientId, clients.clientId),
        isNull(consents.revokedAt),
      ),
    )
    .where(ofDevice(poll))
    .for('key share', { of: [users, clients] })
  return rows[0]?.user
}

async function consume(tx: Database, poll: DevicePoll): Promise<DeviceCode | undefined> {
  const rows = await tx
    .update(deviceCodes)
    .set({ status: 'redeemed' })
    .where(
      and(ofDevice(poll), eq(deviceCodes.status, 'approved'), gt(deviceCodes.expiresAt, poll.now)),
    )
    .returning()
  return rows[0]
}

/** What a code is to its sender, to whom one that is unknown, used, or of another client is one and the same. */
async function standing(db: Database, poll: DevicePoll) {
  const code = await findDeviceCode(db, poll)
  if (!code || code.status === 'redeemed') return 'invalid'
  if (code.status === 'denied') return 'denied'
  if (code.status === 'expired' || code.expiresAt <= poll.now) return 'expired'
  return code.status
}

/** The user's answer to a device: both ways are one guarded UPDATE, so of two answers one counts. */
import { and, eq, gt, inArray } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { type DeviceCode, deviceCodes } from '#/database/schema/device-codes.ts'
import type { TokenDetails } from '#/database/schema/tokens.ts'
import { users } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { grantConsent } from '#/domain/consents/consents.ts'
import { findSession } from '#/domain/sessions/sessions.ts'
import { whereActiveUser } from '#/domain/users/user-state.ts'
import { span } from '#/telemetry/tracing.ts'
import { wherePendingDeviceCode } from './device-code-state.ts'
import { type WaitingDevice, waitingDevices } from './device-codes.ts'

export interface DeviceAnswer {
  /** Of the row. */
  readonly id: string
  readonly user: { readonly id: string; readonly username: string }
  readonly sessionId: string
  /** When the user really signed in. */
  readonly authTime: Date | null
  readonly details: TokenDetails
  readonly now: Date
}

export interface AnsweredDevice extends WaitingDevice {
  /** Whether the answer is a new consent, or a wider one. */
  readonly consented: boolean
}

/**
 * Approves and saves the consent with it. Undefined when the code is no longer pending or the user may not approve.
 * Locks the rows of user and client first, so that revoking the access of either waits for this, or comes before it
 * and is seen here.
 */
export function approveDevice(
  db: Database,
  answer: DeviceAnswer,
  origin: AuditOrigin,
): Promise<AnsweredDevice | undefined> {
  const { id, user, sessionId, now } = answer
  return span('device_codes.approve', () =>
    db.transaction(async (tx) => {
      const waiting = await lockForApproval(tx, answer)
      const session = (await findSession(tx, sessionId))?.session
      if (!waiting || session?.userId !== user.id || session.endedAt) return undefined
      const code = await decide(tx, id, now, {
        status: 'approved',
        userId: user.id,
        authTime: answer.authTime,
        details: answer.details,
      })
      if (!code) return undefined
      const { clientId, scope } = code
      const consented = await grantConsent(tx, { user, clientId, scope, now }, origin)
      await writeAudit(tx, origin, event('DEVICE_CODE_AUTHORIZED', code, answer))
      return { code, client: waiting.client, consented }
    }),
  )
}

async function lockForApproval(
  tx: Database,
  { id, user, now }: DeviceAnswer,
): Promise<WaitingDevice | undefined> {
  const held = await tx
    .select({ clientId: clients.clientId })
    .from(deviceCodes)
    .innerJoin(users, and(eq(users.id, user.id), whereActiveUser))
    .innerJoin(clients, eq(clients.clientId, deviceCodes.clientId))
    .where(eq(deviceCodes.id, id))
    .for('key share', { of: [users, clients] })
  return held.length === 0 ? undefined : (await waitingDevices(tx, eq(deviceCodes.id, id), now))[0]
}

/** Says no. Undefined when there is nothing to answer any more. */
export function denyDevice(
  db: Database,
  answer: Pick<DeviceAnswer, 'id' | 'user' | 'now'>,
  origin: AuditOrigin,
): Promise<AnsweredDevice | undefined> {
  const { id, now } = answer
  return span('device_codes.deny', () =>
    db.transaction(async (tx) => {
      const [waiting] = await waitingDevices(tx, eq(deviceCodes.id, id), now)
      const code = waiting && (await decide(tx, id, now, { status: 'denied' }))
      if (!code) return undefined
      await writeAudit(tx, origin, event('DEVICE_CODE_DENIED', code, answer))
      return { code, client: waiting.client, consented: false }
    }),
  )
}

/** How long the same answer, sent twice, is told what it has led to. */
const repeatMs = 60 * 1000

/** The client of a device that was answered in this way a moment ago: a button was pressed twice. */
export async function findAnsweredDevice(
  db: Database,
  { id, user, now }: Pick<DeviceAnswer, 'id' | 'user' | 'now'>,
  action: 'approve' | 'deny',
): Promise<Pick<WaitingDevice, 'client'> | undefined> {
  const [found] = await db
    .select({ client: clients })
    .from(deviceCodes)
    .innerJoin(clients, eq(clients.clientId, deviceCodes.clientId))
    .where(
      and(
        eq(deviceCodes.id, id),
        action === 'approve'
          ? and(
              eq(deviceCodes.userId, user.id),
              inArray(deviceCodes.status, ['approved', 'redeemed']),
            )
          : // Nothing is kept of who said no; only who typed the code knows the id.
            eq(deviceCodes.status, 'denied'),
        gt(deviceCodes.decidedAt, new Date(now.getTime() - repeatMs)),
      ),
    )
  return found
}

async function decide(
  tx: Database,
  id: string,
  now: Date,
  answer: Partial<DeviceCode> & Pick<DeviceCode, 'status'>,
): Promise<DeviceCode | undefined> {
  const rows = await tx
    .update(deviceCodes)
    .set({ ...answer, decidedAt: now })
    .where(and(eq(deviceCodes.id, id), wherePendingDeviceCode(now)))
    .returning()
  return rows[0]
}

const event = (
  type: 'DEVICE_CODE_AUTHORIZED' | 'DEVICE_CODE_DENIED',
  code: DeviceCode,
  { user, now }: Pick<DeviceAnswer, 'user' | 'now'>,
) => ({
  type,
  at: now,
  actor: user,
  clientId: code.clientId,
  resource: { type: 'device_code', id: code.id } as const,
  details: { scope: code.scope, requested_from: code.ip },
})

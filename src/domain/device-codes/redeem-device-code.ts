/** A device asks for its tokens (RFC 8628 §3.4): it is told to wait, or the code is used up and its tokens are stored, at once. */
import { and, eq, type WithSubquery } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { statementDeadline } from '#/database/deadline.ts'
import { inTime, TooLateError } from '#/database/in-time.ts'
import { type DeviceCode, deviceCodes } from '#/database/schema/device-codes.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/statements.ts'
import { attempting, settleAttempts } from '#/domain/attempts/attempts.ts'
import { type AuditOrigin, auditCtes, auditParams } from '#/domain/audit/audit.ts'
import { type JudgedClient, requireCurrentClient } from '#/domain/clients/client-version.ts'
import {
  type AskedGrant,
  lockActiveGrant,
  lockedActiveGrant,
} from '#/domain/tokens/active-grant.ts'
import { firstRefreshToken, type RefreshPolicy } from '#/domain/tokens/first-refresh-token.ts'
import { narrowResources } from '#/domain/tokens/narrow.ts'
import { type Token, type TokenLifetimes, tokenCtes, tokenParams } from '#/domain/tokens/tokens.ts'
import { type UnheardTokens, undoTokens } from '#/domain/tokens/undo-tokens.ts'
import type { DevicePollResult } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import { deviceCodeStatusOf, whereApprovedDeviceCode } from './device-code-state.ts'
import { ofDevice, type PresentedDeviceCode, pollPendingDeviceCode } from './device-codes.ts'

export interface DevicePoll extends PresentedDeviceCode, JudgedClient, RefreshPolicy {
  /** What the access token is for; undefined for all that was granted (RFC 8707 §2.2). */
  readonly resources: readonly string[] | undefined
  readonly lifetimes: TokenLifetimes
}

export type DeviceRedemption =
  | {
      readonly result: 'success'
      readonly access: Token
      readonly user: User
      readonly refreshToken: string | undefined
    }
  | { readonly result: Exclude<DevicePollResult, 'success'> }

/** Throws `invalid_target`, or a `StaleClientError`, which leaves the code unused. */
export function redeemDeviceCode(
  db: Database,
  poll: DevicePoll,
  origin: AuditOrigin,
): Promise<DeviceRedemption> {
  return span('device_codes.redeem', async () => {
    const waiting = await pollPendingDeviceCode(db, poll)
    if (waiting) return { result: waiting }
    const { code, user } = (await find(db, poll)) ?? {}
    const isApproved = statusOf(code, poll) === 'approved'
    const redeemed = isApproved && code && user && (await redeem(db, { code, user, poll, origin }))
    if (redeemed) return redeemed
    await requireCurrentClient(db, poll)
    if (code && (await settleAttempts(db, keyOf(code)))) return redeemDeviceCode(db, poll, origin)
    const result = await checkPoll(db, poll)
    if (result !== 'usable') return { result }
    if (isApproved) throw new TooLateError()
    // Given back, or approved, since it was looked at.
    return redeemDeviceCode(db, poll, origin)
  })
}

const find = async (db: Database, poll: DevicePoll) =>
  (
    await db
      .select({ code: deviceCodes, user: users })
      .from(deviceCodes)
      .leftJoin(users, eq(users.id, deviceCodes.userId))
      .where(ofDevice(poll))
  )[0]

interface Redeemable {
  readonly code: DeviceCode
  readonly user: User
  readonly poll: DevicePoll
  readonly origin: AuditOrigin
}

/** Undefined when the code was used meanwhile, or its user may not have tokens any more. */
async function redeem(
  db: Database,
  { code, user, poll, origin }: Redeemable,
): Promise<DeviceRedemption | undefined> {
  const { dpopJkt, lifetimes, now } = poll
  const { id, clientId, familyId, scope } = code
  const first = firstRefreshToken(scope, poll)
  const refreshToken = first?.token
  const { access, ids, values } = tokenParams({
    // The device is not the browser that approved: it stays signed in when that one signs out.
    grant: { ...code, sessionId: null },
    scope,
    resources: narrowResources(code.resources, poll.resources),
    dpopJkt,
    refresh: first,
    lifetimes,
    now,
  })
  const audited = auditParams(origin, {
    type: 'DEVICE_CODE_EXCHANGED',
    at: now,
    actor: user,
    clientId,
    resource: { type: 'token_family', id: familyId },
    details: { scope, offline: refreshToken !== undefined },
  })
  const deadline = statementDeadline()
  const unheard: UnheardTokens = {
    familyId,
    clientId,
    userId: user.id,
    ids,
    deadline,
    event: 'DEVICE_CODE_EXCHANGED',
    origin,
    restore: (tx) => restore(tx, id),
  }
  const attempt = { key: keyOf(code), undo: (tx: Database) => undoTokens(tx, unheard) }
  const who = { userId: user.id, clientId, clientVersion: poll.clientVersion }
  const used = await attempting(db, attempt, () =>
    exchange(db, { id, ...who, now, deadline, ...values, ...audited }),
  )
  return used.length > 0 ? { result: 'success', access, user, refreshToken } : undefined
}

/** Under which attempts at a code are kept in mind. */
const keyOf = ({ id }: DeviceCode) => `device code ${id}`

type Exchange = AskedGrant & { readonly id: string; readonly now: Date; readonly deadline: Date }

/** One statement, like that of an authorization code. */
const exchange = prepared((db, slots: Placeholders<Exchange>) => {
  const { userId, clientId, clientVersion, id, now, deadline } = slots
  const grant = lockedActiveGrant(db, { userId, clientId, clientVersion })
  const holder = db.$with('holder').as(grant)
  const used = db.$with('used').as(consume(db, holder, { id, now, deadline }))
  return db
    .with(holder, used, ...tokenCtes(db, used), auditCtes(db, used))
    .select()
    .from(used)
})

const consume = (
  db: Database,
  holder: WithSubquery,
  { id, now, deadline }: Pick<Placeholders<Exchange>, 'id' | 'now' | 'deadline'>,
) =>
  db
    .update(deviceCodes)
    .set({ status: 'redeemed' })
    .from(holder)
    .where(and(eq(deviceCodes.id, id), whereApprovedDeviceCode(now), inTime(deadline)))
    .returning({ id: deviceCodes.id })

/** A redeemed code whose tokens are being taken back: nobody else can have redeemed it. */
async function restore(tx: Database, id: string): Promise<boolean> {
  const restored = await tx
    .update(deviceCodes)
    .set({ status: 'approved' })
    .where(and(eq(deviceCodes.id, id), eq(deviceCodes.status, 'redeemed')))
    .returning({ id: deviceCodes.id })
  return restored.length > 0
}

/** Why a device gets no tokens; `usable` if nothing stands against it. One that still waits was not noticed in time. */
async function checkPoll(db: Database, poll: DevicePoll) {
  const { code } = (await find(db, poll)) ?? {}
  const status = statusOf(code, poll)
  if (status === 'pending') throw new TooLateError()
  if (status !== 'approved') return status
  const { userId = null, clientId = '' } = code ?? {}
  return userId !== null && (await lockActiveGrant(db, { userId, clientId })) ? 'usable' : 'denied'
}

/** What a code is to its sender, to whom one that is unknown, used, or of another client is one and the same. */
function statusOf(code: DeviceCode | undefined, { now }: DevicePoll) {
  const status = code && deviceCodeStatusOf(code, now)
  return status === undefined || status === 'redeemed' ? 'invalid' : status
}

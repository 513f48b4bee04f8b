/**
 * Device codes (RFC 8628): a device asks, its user answers in a browser, the device fetches its tokens. Each step is one
 * guarded UPDATE of the status (pending, approved or denied, redeemed; or expired), so it happens once, whoever else
 * tries at the same moment.
 */
import { and, eq, inArray, lt, type SQL, sql } from 'drizzle-orm'
import { boundBatch, deleteBatch, inBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { inTime } from '#/database/in-time.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import { type DeviceCode, deviceCodes } from '#/database/schema/device-codes.ts'
import {
  insertForEach,
  type Placeholders,
  prepared,
  valuesFor,
} from '#/database/statements/statements.ts'
import { type AuditOrigin, auditCtes, auditParams } from '#/domain/audit/audit.ts'
import { whereActiveClient } from '#/domain/clients/client-state.ts'
import { type JudgedClient, StaleClientError } from '#/domain/clients/client-version.ts'
import { reserveRow } from '#/domain/row-limits/row-limits.ts'
import { lockedActiveClient } from '#/domain/tokens/active-grant.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import { deriveKey, hmac, newestOf, randomSecret, sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import {
  whereApprovedDeviceCode,
  whereEndedDeviceCode,
  whereOpenDeviceCode,
  whereOverdueDeviceCode,
  wherePendingDeviceCode,
} from './device-code-state.ts'

/** RFC 8628 §3.5: what an early poll adds to the interval. */
const slowDownSeconds = 5
/** A poll may come this much too early: clocks and networks are not exact. */
const toleranceSeconds = 1
const maxCollisions = 10

export interface NewDeviceCode extends JudgedClient {
  readonly scope: string
  readonly resources: readonly string[]
  /** Where the request came from, for its user to compare. */
  readonly ip: string
  readonly requester: string
  readonly intervalSeconds: number
  readonly lifetimeMs: number
  /** Newest first; the newest makes the digests of user codes, all find them. */
  readonly secrets: readonly string[]
  readonly newUserCode: () => string
  readonly now: Date
}

export interface IssuedDeviceCode {
  readonly deviceCode: string
  readonly userCode: string
}

/**
 * Issues both codes; they are stored as digests only. A user code that is taken is drawn again. Throws a
 * `StaleClientError` unless the client still is what the request was judged by.
 */
export function issueDeviceCode(
  db: Database,
  request: NewDeviceCode,
  origin: AuditOrigin,
): Promise<IssuedDeviceCode> {
  return span('device_codes.issue', () =>
    reserveRow(db, 'device_codes', () => insertUnused(db, request, origin)),
  )
}

async function insertUnused(db: Database, request: NewDeviceCode, origin: AuditOrigin) {
  const { clientId, clientVersion } = request
  const deviceCode = randomSecret()
  for (let n = 0; n < maxCollisions; n += 1) {
    const userCode = request.newUserCode()
    const row = rowOf(request, { deviceCode, userCode })
    const event = {
      type: 'DEVICE_CODE_GENERATED',
      at: request.now,
      clientId,
      resource: { type: 'device_code', id: row.id },
      details: { scope: row.scope },
    } as const
    const values = { ...valuesFor('code', row), ...auditParams(origin, event) }
    const [stored] = await store(db, { clientId, clientVersion, ...values })
    if (!stored) throw new StaleClientError()
    if (stored.id !== null) return { deviceCode, userCode }
  }
  throw new Error('no user code is free')
}

const rowOf = (request: NewDeviceCode, codes: IssuedDeviceCode): DeviceCode => ({
  id: crypto.randomUUID(),
  deviceCodeHash: sha256(codes.deviceCode),
  userCodeHash: newestOf(userCodeHashes(codes.userCode, request.secrets)),
  clientId: request.clientId,
  scope: request.scope,
  resources: [...request.resources],
  status: 'pending',
  ip: request.ip,
  requester: request.requester,
  userId: null,
  authTime: null,
  details: {},
  familyId: crypto.randomUUID(),
  intervalSeconds: request.intervalSeconds,
  lastPolledAt: null,
  lastPolledTooEarly: false,
  createdAt: request.now,
  decidedAt: null,
  expiresAt: new Date(request.now.getTime() + request.lifetimeMs),
})

/** One statement, which answers a row if the client is the one that was judged, and in it an id unless a code was taken. */
const store = prepared((db, { clientId, clientVersion }: Placeholders<JudgedClient>) => {
  const holder = db.$with('holder').as(lockedActiveClient(db, { clientId, clientVersion }))
  const stored = db
    .$with('stored', { id: deviceCodes.id })
    .as(
      sql`${insertForEach(holder, deviceCodes, 'code')} on conflict do nothing returning ${deviceCodes.id}`,
    )
  return db
    .with(holder, stored, auditCtes(db, stored))
    .select({ id: stored.id })
    .from(holder)
    .leftJoin(stored, sql`true`)
})

/** Digests of a user code: keyed, since a short code could be guessed from a plain one. */
const userCodeHashes = (userCode: string, secrets: readonly string[]): string[] =>
  secrets.map((secret) => hmac(deriveKey(secret, 'user code'), userCode))

export interface WaitingDevice {
  readonly code: DeviceCode
  readonly client: Client
}

/** A device that waits for its user, by the code that the user has typed; undefined when none, or none any more. */
export async function findWaitingDevice(
  db: Database,
  { userCode, secrets, now }: { userCode: string; secrets: readonly string[]; now: Date },
): Promise<WaitingDevice | undefined> {
  const rows = await waitingDevices(
    db,
    inArray(deviceCodes.userCodeHash, userCodeHashes(userCode, secrets)),
    now,
  )
  // While secrets rotate, the same code may have been drawn under both: then nobody can say whose it is.
  return rows.length === 1 ? rows[0] : undefined
}

/** The clients must still be allowed to use this grant, whatever they were when they asked. */
export async function waitingDevices(
  db: Database,
  which: SQL,
  now: Date,
): Promise<WaitingDevice[]> {
  const rows = await db
    .select({ code: deviceCodes, client: clients })
    .from(deviceCodes)
    .innerJoin(clients, and(eq(clients.clientId, deviceCodes.clientId), whereActiveClient))
    .where(and(which, wherePendingDeviceCode(now)))
  return rows.filter(({ client }) => client.grantTypes.includes(deviceCodeGrantType))
}

export interface PresentedDeviceCode {
  readonly deviceCode: string
  readonly clientId: string
  readonly now: Date
}

export const ofDevice = ({ deviceCode, clientId }: PresentedDeviceCode): SQL | undefined =>
  and(eq(deviceCodes.deviceCodeHash, sha256(deviceCode)), eq(deviceCodes.clientId, clientId))

/**
 * A poll of a code that its user has not answered; undefined for all others. One statement judges whether it came too
 * early and remembers that it came, so that parallel polls and replicas agree, whatever their clocks say.
 */
export async function pollPendingDeviceCode(
  db: Database,
  presented: PresentedDeviceCode,
): Promise<'pending' | 'slow_down' | undefined> {
  const { lastPolledAt, intervalSeconds } = deviceCodes
  const tooEarly = sql`coalesce(${lastPolledAt} + make_interval(secs => ${intervalSeconds} - ${toleranceSeconds}::int) > clock_timestamp(), false)`
  const [polled] = await db
    .update(deviceCodes)
    .set({
      lastPolledTooEarly: tooEarly,
      intervalSeconds: sql`${intervalSeconds} + case when ${tooEarly} then ${slowDownSeconds}::int else 0 end`,
      lastPolledAt: sql`clock_timestamp()`,
    })
    .where(and(ofDevice(presented), wherePendingDeviceCode(presented.now), inTime()))
    .returning({ tooEarly: deviceCodes.lastPolledTooEarly })
  if (!polled) return undefined
  return polled.tooEarly ? 'slow_down' : 'pending'
}

/** Turns approvals that were not redeemed yet into denials: of a user, or of what a user approved for one client. Answers how many. */
export async function discardApprovedDeviceCodes(
  tx: Database,
  { userId, clientId }: { userId: string; clientId?: string },
  now: Date,
): Promise<number> {
  const discarded = await tx
    .update(deviceCodes)
    .set({ status: 'denied', decidedAt: now })
    .where(
      and(
        eq(deviceCodes.userId, userId),
        clientId === undefined ? undefined : eq(deviceCodes.clientId, clientId),
        // Those that have expired had ended by themselves.
        whereApprovedDeviceCode(now),
      ),
    )
    .returning({ id: deviceCodes.id })
  return discarded.length
}

/** Denies all that waits for a client, approved or not yet. Answers how many. */
export async function denyDeviceCodesOfClient(
  tx: Database,
  clientId: string,
  now: Date,
): Promise<number> {
  const denied = await tx
    .update(deviceCodes)
    .set({ status: 'denied', decidedAt: now })
    .where(and(eq(deviceCodes.clientId, clientId), whereOpenDeviceCode(now)))
    .returning({ id: deviceCodes.id })
  return denied.length
}

/** Ends up to `limit` codes that nobody redeemed in time; answers how many. Replicas skip each other's rows. */
export function expireDeviceCodes(db: Database, now: Date, limit: number): Promise<number> {
  return db.transaction(async (tx) => {
    await boundBatch(tx)
    const overdue = inBatch(tx, deviceCodes, {
      key: deviceCodes.id,
      where: whereOverdueDeviceCode(now),
      order: deviceCodes.expiresAt,
      limit,
    })
    const expired = await tx
      .update(deviceCodes)
      .set({ status: 'expired' })
      .where(overdue)
      .returning({ id: deviceCodes.id })
    return expired.length
  })
}

/** Deletes up to `limit` codes that expired before the given moment and whose end has been counted. */
export const deleteOldDeviceCodes = (db: Database, before: Date, limit: number): Promise<number> =>
  deleteBatch(db, deviceCodes, {
    key: deviceCodes.id,
    where: and(lt(deviceCodes.expiresAt, before), whereEndedDeviceCode),
    order: deviceCodes.expiresAt,
    limit,
  })

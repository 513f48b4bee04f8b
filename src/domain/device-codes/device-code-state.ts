/** What has become of a device code. Until it is swept, one that nobody redeemed in time looks as it did before. */
import { and, eq, gt, lte, type Placeholder, type SQL, sql } from 'drizzle-orm'
import { type DeviceCode, deviceCodes } from '#/database/schema/device-codes.ts'

const unexpired = (now: Date | Placeholder): SQL => gt(deviceCodes.expiresAt, now)

/** A code that its user may still answer. */
export const wherePendingDeviceCode = (now: Date): SQL | undefined =>
  and(eq(deviceCodes.status, 'pending'), unexpired(now))

/** A code that its device may turn into tokens. */
export const whereApprovedDeviceCode = (now: Date | Placeholder): SQL | undefined =>
  and(eq(deviceCodes.status, 'approved'), unexpired(now))

/** Written out, as the partial index has it. */
const hasOpenStatus = sql`${deviceCodes.status} in ('pending', 'approved')`

/** A code that may still lead to tokens: neither answered with a no, nor used, nor expired. */
export const whereOpenDeviceCode = (now: Date): SQL => sql`${hasOpenStatus} and ${unexpired(now)}`

/** A code whose time was over before it led to anything, and whose end nobody has written down yet. */
export const whereOverdueDeviceCode = (now: Date): SQL | undefined =>
  and(hasOpenStatus, lte(deviceCodes.expiresAt, now))

/** A code whose end is written down. */
export const whereEndedDeviceCode: SQL = sql`not (${hasOpenStatus})`

/** The same, of a row: `pending` and `approved` are said of open codes only. */
export const deviceCodeStatusOf = (
  { status, expiresAt }: DeviceCode,
  now: Date,
): DeviceCode['status'] =>
  (status === 'pending' || status === 'approved') && expiresAt <= now ? 'expired' : status

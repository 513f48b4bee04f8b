/** The database's clock cannot be turned in tests, so what it dates is made older instead. */
import { and, eq, isNotNull, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { logoutDeliveries } from '#/database/schema/logout-deliveries.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { sha256 } from '#/protocol/secrets.ts'

const ago = (ms: number) => sql`clock_timestamp() - ${ms / 1000} * interval '1 second'`

/** As if the refresh tokens of a family had been handed out so long ago. */
export const ageFamily = async (db: Database, familyId: string, ms: number): Promise<void> =>
  void (await db
    .update(tokens)
    .set({ createdAt: ago(ms) })
    .where(eq(tokens.familyId, familyId)))

/** The same for the family of one of them. */
export async function ageFamilyOf(db: Database, refreshToken: string, ms: number): Promise<void> {
  const which = eq(tokens.secretHash, sha256(refreshToken))
  for (const { familyId } of await db.select().from(tokens).where(which))
    await ageFamily(db, familyId, ms)
}

/** As if a device that has asked had last done so so long ago. */
export const agePoll = async (db: Database, deviceCode: string, ms: number): Promise<void> =>
  void (await db
    .update(deviceCodes)
    .set({ lastPolledAt: ago(ms) })
    .where(
      and(eq(deviceCodes.deviceCodeHash, sha256(deviceCode)), isNotNull(deviceCodes.lastPolledAt)),
    ))

/** As if so much of the wait for the next attempt at each logout token were over. */
export const ageDeliveries = async (db: Database, ms: number): Promise<void> =>
  void (await db.update(logoutDeliveries).set({
    nextAttemptAt: sql`${logoutDeliveries.nextAttemptAt} - ${ms / 1000} * interval '1 second'`,
  }))

/**
 * The COUNTs behind the population gauges. Each is one statement that an index answers, and each counts exactly what
 * a request would find: a live session is one that the middleware would accept.
 */
import { and, count, eq, isNotNull, notExists, notInArray, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { consents } from '#/database/schema/consents.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { logoutDeliveries } from '#/database/schema/logout-deliveries.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { users } from '#/database/schema/users.ts'
import { whereInactiveClient } from '#/domain/clients/client-state.ts'
import { whereConsentInForce } from '#/domain/consents/consent-state.ts'
import { whereOpenDeviceCode } from '#/domain/device-codes/device-code-state.ts'
import { whereLiveSession } from '#/domain/sessions/session-state.ts'
import { whereLiveToken } from '#/domain/tokens/token-state.ts'
import { whereInactiveUser } from '#/domain/users/user-state.ts'
import {
  type ClientStatus,
  clientStatuses,
  type StoredTokenType,
  storedTokenTypes,
  type UserAuthSource,
  userAuthSources,
} from '#/protocol/vocabulary.ts'

export interface UserCounts {
  readonly registered: number
  readonly active: Readonly<Record<UserAuthSource, number>>
}

/** One grouped count gives both: all accounts, and the active ones by source. */
export async function countUsers(db: Database): Promise<UserCounts> {
  const rows = await usersQuery(db)
  const active = rows.filter((row) => row.isActive)
  return {
    registered: rows.reduce((sum, row) => sum + row.rows, 0),
    active: tally(userAuthSources, active),
  }
}

export async function countClients(db: Database): Promise<Readonly<Record<ClientStatus, number>>> {
  return tally(clientStatuses, await clientsQuery(db))
}

export async function countSessions(db: Database, now: Date): Promise<number> {
  return (await sessionsQuery(db, now))[0]?.rows ?? 0
}

export async function countTokens(
  db: Database,
  now: Date,
): Promise<Readonly<Record<StoredTokenType, number>>> {
  return tally(storedTokenTypes, await tokensQuery(db, now))
}

export async function countConsents(db: Database): Promise<number> {
  return (await consentsQuery(db))[0]?.rows ?? 0
}

export async function countLogoutDeliveries(db: Database): Promise<number> {
  return (await db.select({ rows: count() }).from(logoutDeliveries))[0]?.rows ?? 0
}

export async function countDeviceCodes(
  db: Database,
  now: Date,
): Promise<Readonly<Record<'pending' | 'approved', number>>> {
  return tally(['pending', 'approved'], await deviceCodesQuery(db, now))
}

export const usersQuery = (db: Database) =>
  db
    .select({ isActive: users.isActive, key: users.authSource, rows: count() })
    .from(users)
    .groupBy(users.isActive, users.authSource)

export const clientsQuery = (db: Database) =>
  db.select({ key: clients.status, rows: count() }).from(clients).groupBy(clients.status)

/** Disabled users are few and have an index of their own, so leaving theirs out costs almost nothing. */
export const sessionsQuery = (db: Database, now: Date) =>
  db
    .select({ rows: count() })
    .from(sessions)
    .where(
      and(
        whereLiveSession(now),
        isNotNull(sessions.userId),
        notExists(inactiveUser(db, sessions.userId)),
      ),
    )

export const tokensQuery = (db: Database, now: Date) =>
  db
    .select({ key: tokens.type, rows: count() })
    .from(tokens)
    .where(
      and(
        whereLiveToken(now),
        notExists(inactiveUser(db, tokens.userId)),
        notInArray(tokens.clientId, inactiveClients(db)),
      ),
    )
    .groupBy(tokens.type)

export const consentsQuery = (db: Database) =>
  db.select({ rows: count() }).from(consents).where(whereConsentInForce)

export const deviceCodesQuery = (db: Database, now: Date) =>
  db
    .select({ key: sql<'pending' | 'approved'>`${deviceCodes.status}`, rows: count() })
    .from(deviceCodes)
    .where(and(whereOpenDeviceCode(now), notInArray(deviceCodes.clientId, inactiveClients(db))))
    .groupBy(deviceCodes.status)

/** Not for an anti-join: with few clients the planner would take it to leave no row, and plan the rest for none. */
const inactiveClients = (db: Database) =>
  db.select({ id: clients.clientId }).from(clients).where(whereInactiveClient)

const inactiveUser = (db: Database, userId: typeof sessions.userId | typeof tokens.userId) =>
  db
    .select({ one: sql`1` })
    .from(users)
    .where(and(eq(users.id, userId), whereInactiveUser))

/** Every value of the closed list, 0 where no row has it. */
const tally = <K extends string>(
  keys: readonly K[],
  rows: readonly { key: K; rows: number }[],
): Record<K, number> =>
  Object.fromEntries(
    keys.map((key) => [key, rows.find((row) => row.key === key)?.rows ?? 0]),
  ) as Record<K, number>

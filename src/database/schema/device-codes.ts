import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { deviceCodeStatuses } from '#/protocol/vocabulary.ts'
import { clients } from './clients.ts'
import { oneOf } from './one-of.ts'
import type { TokenDetails } from './tokens.ts'
import { users } from './users.ts'

/**
 * A device that waits for its user (RFC 8628). Both codes are stored as digests; the user code is short enough to be
 * guessed from a plain one, so its digest is keyed.
 */
export const deviceCodes = pgTable(
  'device_codes',
  {
    id: uuid().primaryKey(),
    deviceCodeHash: text('device_code_hash').notNull(),
    userCodeHash: text('user_code_hash').notNull(),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.clientId, { onDelete: 'cascade' }),
    scope: text().notNull(),
    resources: text().array().notNull().default([]),
    status: text({ enum: deviceCodeStatuses }).notNull().default('pending'),
    /** Where the request came from, for its user to compare. */
    ip: text().notNull(),
    requester: text().notNull(),
    userId: uuid('user_id').references(() => users.id, { onDelete: 'cascade' }),
    authTime: timestamp('auth_time', { withTimezone: true }),
    details: jsonb().$type<TokenDetails>().notNull().default({}),
    /** The family that its tokens will belong to. */
    familyId: uuid('family_id').notNull(),
    /** RFC 8628 §3.5: grows by five seconds with each poll that comes too early. */
    intervalSeconds: integer('interval_seconds').notNull(),
    lastPolledAt: timestamp('last_polled_at', { withTimezone: true }),
    lastPolledTooEarly: boolean('last_polled_too_early').notNull().default(false),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    decidedAt: timestamp('decided_at', { withTimezone: true }),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  },
  (t) => [
    uniqueIndex('device_codes_device_code').on(t.deviceCodeHash),
    uniqueIndex('device_codes_user_code').on(t.userCodeHash),
    // Holds all that the count of open codes asks for, so that the table itself is not read.
    index('device_codes_open')
      .on(t.expiresAt, t.status, t.clientId)
      .where(sql`${t.status} in ('pending', 'approved')`),
    index('device_codes_expiry').on(t.expiresAt),
    index('device_codes_user').on(t.userId),
    index('device_codes_client').on(t.clientId),
    check('device_codes_status', oneOf(t.status, deviceCodeStatuses)),
  ],
)

export type DeviceCode = typeof deviceCodes.$inferSelect

import { sql } from 'drizzle-orm'
import { boolean, check, index, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import { loginSources, sessionEndReasons } from '#/protocol/vocabulary.ts'
import { oneOf } from './one-of.ts'
import { users } from './users.ts'

/** One row per signed-in browser. A row ends once: `ended_at` and `end_reason` are set together, by one guarded UPDATE. */
export const sessions = pgTable(
  'sessions',
  {
    id: uuid().primaryKey(),
    /** Null once the account is gone; its sessions ended with it. */
    userId: uuid('user_id').references(() => users.id, { onDelete: 'set null' }),
    loginSource: text('login_source', { enum: loginSources }).notNull(),
    remembered: boolean().notNull(),
    browser: text().notNull(),
    platform: text().notNull(),
    ip: text().notNull(),
    /** Digest of browser, platform and (if set so) address; null where fingerprints are off. */
    fingerprint: text(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    /** When a provider asked who it is, as it says; null if it does not, and where we asked ourselves. */
    authTime: timestamp('auth_time', { withTimezone: true }),
    lastSeenAt: timestamp('last_seen_at', { withTimezone: true }).notNull(),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
    /** Null where there is no idle limit (remember-me). */
    idleExpiresAt: timestamp('idle_expires_at', { withTimezone: true }),
    /** The deadline that comes first (`least` passes over null): one column to ask, one index to answer. */
    lapsesAt: timestamp('lapses_at', { withTimezone: true })
      .notNull()
      .generatedAlwaysAs(sql`least(expires_at, idle_expires_at)`),
    endedAt: timestamp('ended_at', { withTimezone: true }),
    endReason: text('end_reason', { enum: sessionEndReasons }),
  },
  (t) => [
    index('sessions_live').on(t.lapsesAt, t.userId).where(sql`${t.endedAt} is null`),
    index('sessions_user').on(t.userId),
    index('sessions_ended').on(t.endedAt).where(sql`${t.endedAt} is not null`),
    check('sessions_end_reason', oneOf(t.endReason, sessionEndReasons)),
    check('sessions_ended_with_reason', sql`(${t.endedAt} is null) = (${t.endReason} is null)`),
  ],
)

export type Session = typeof sessions.$inferSelect

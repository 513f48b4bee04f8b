import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  index,
  pgTable,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { userAuthSources } from '#/protocol/vocabulary.ts'
import { oneOf } from './one-of.ts'

export const userRoles = ['user', 'admin'] as const

export const users = pgTable(
  'users',
  {
    id: uuid().primaryKey().defaultRandom(),
    /** Lower case. */
    username: text().notNull(),
    /** Null for a user without one, or whose unverified address was claimed by a user who verified it. */
    email: text(),
    emailVerified: boolean('email_verified').notNull().default(false),
    fullName: text('full_name').notNull().default(''),
    role: text({ enum: userRoles }).notNull().default('user'),
    authSource: text('auth_source', { enum: userAuthSources }).notNull().default('local'),
    /** argon2id; null for accounts that sign in elsewhere. */
    passwordHash: text('password_hash'),
    /** A temporary password: the next sign-in asks for another. */
    passwordMustChange: boolean('password_must_change').notNull().default(false),
    isActive: boolean('is_active').notNull().default(true),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (t) => [
    uniqueIndex('users_username').on(t.username),
    uniqueIndex('users_email').on(sql`lower(${t.email})`),
    index('idx_users_active_source').on(t.isActive, t.authSource),
    // Built after the migrations: see late-indexes.ts.
    index('users_by_email').on(sql`lower(${t.email}) collate "C"`),
    index('users_by_full_name').on(sql`lower(${t.fullName}) collate "C"`),
    index('users_by_username').on(sql`${t.username} collate "C"`),
    index('users_inactive').on(t.id).where(sql`not ${t.isActive}`),
    check('users_role', oneOf(t.role, userRoles)),
    check('users_auth_source', oneOf(t.authSource, userAuthSources)),
  ],
)

export type User = typeof users.$inferSelect

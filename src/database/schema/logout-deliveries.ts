import { index, integer, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import { clients } from './clients.ts'

/** Logout tokens on their way (OIDC Back-Channel Logout §2.5): written with the end of the session, gone once delivered or given up. */
export const logoutDeliveries = pgTable(
  'logout_deliveries',
  {
    /** `jti` of the logout token. */
    id: uuid().primaryKey(),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.clientId, { onDelete: 'cascade' }),
    sid: uuid().notNull(),
    userId: uuid('user_id').notNull(),
    attempts: integer().notNull().default(0),
    nextAttemptAt: timestamp('next_attempt_at', { withTimezone: true }).notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
  },
  (t) => [index('logout_deliveries_due').on(t.nextAttemptAt)],
)

import { sql } from 'drizzle-orm'
import { index, pgTable, text, timestamp, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { clients } from './clients.ts'
import { users } from './users.ts'

/** What a user approved for a client. At most one in force per pair; revoked ones stay as history for a while. */
export const consents = pgTable(
  'consents',
  {
    id: uuid().primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.clientId, { onDelete: 'cascade' }),
    scope: text().notNull(),
    grantedAt: timestamp('granted_at', { withTimezone: true }).notNull(),
    revokedAt: timestamp('revoked_at', { withTimezone: true }),
  },
  (t) => [
    uniqueIndex('consents_in_force').on(t.userId, t.clientId).where(sql`${t.revokedAt} is null`),
    index('consents_client').on(t.clientId),
    index('consents_user').on(t.userId),
    // Built after the migrations: see late-indexes.ts.
    index('consents_of_client')
      .on(t.clientId, t.grantedAt, t.id)
      .where(sql`${t.revokedAt} is null`),
    index('consents_withdrawn').on(t.revokedAt).where(sql`${t.revokedAt} is not null`),
  ],
)

import { index, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { clients } from './clients.ts'

/** A validated authorization request that waits for its user to sign in or consent. */
export const authorizationRequests = pgTable(
  'authorization_requests',
  {
    id: text().primaryKey(),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.clientId, { onDelete: 'cascade' }),
    redirectUri: text('redirect_uri').notNull(),
    scope: text().notNull(),
    state: text(),
    nonce: text(),
    codeChallenge: text('code_challenge').notNull(),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  },
  (t) => [index('authorization_requests_expiry').on(t.expiresAt)],
)

export type AuthorizationRequest = typeof authorizationRequests.$inferSelect

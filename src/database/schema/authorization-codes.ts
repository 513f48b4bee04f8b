import { index, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import { clients } from './clients.ts'
import type { TokenDetails } from './tokens.ts'
import { users } from './users.ts'

export const authorizationCodes = pgTable(
  'authorization_codes',
  {
    /** SHA-256 of the code. */
    codeHash: text('code_hash').primaryKey(),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.clientId, { onDelete: 'cascade' }),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    sessionId: uuid('session_id').notNull(),
    /** The family that tokens of this code will belong to; what a replay revokes. */
    familyId: uuid('family_id').notNull(),
    redirectUri: text('redirect_uri').notNull(),
    scope: text().notNull(),
    nonce: text(),
    /** Null when the request had none; then no code verifier may be presented (RFC 9700 §2.1.1). */
    codeChallenge: text('code_challenge'),
    resources: text().array().notNull().default([]),
    dpopJkt: text('dpop_jkt'),
    details: jsonb().$type<TokenDetails>().notNull().default({}),
    /** Null if unknown. */
    authTime: timestamp('auth_time', { withTimezone: true }),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
    consumedAt: timestamp('consumed_at', { withTimezone: true }),
  },
  (t) => [
    index('authorization_codes_expiry').on(t.expiresAt),
    index('authorization_codes_user').on(t.userId),
    index('authorization_codes_client').on(t.clientId),
  ],
)

export type AuthorizationCode = typeof authorizationCodes.$inferSelect

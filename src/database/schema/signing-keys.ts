import { jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core'

export const signingKeys = pgTable('signing_keys', {
  kid: text().primaryKey(),
  algorithm: text({ enum: ['ES256'] }).notNull(),
  publicJwk: jsonb('public_jwk').$type<Record<string, unknown>>().notNull(),
  /** AES-256-GCM under a key derived from a SESSION_SECRET. */
  sealedPrivateJwk: text('sealed_private_jwk').notNull(),
  /** Which secret sealed it: the start of a digest of it. */
  sealedWith: text('sealed_with').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
})

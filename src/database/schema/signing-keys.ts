import { jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { signingAlgorithms } from '#/protocol/vocabulary.ts'

/** Published from `created_at`, signing from `activates_at` to `retires_at`, checking what it signed until `expires_at`. */
export const signingKeys = pgTable('signing_keys', {
  kid: text().primaryKey(),
  algorithm: text({ enum: signingAlgorithms }).notNull(),
  publicJwk: jsonb('public_jwk').$type<Record<string, unknown>>().notNull(),
  /** AES-256-GCM under a key derived from a SESSION_SECRET. */
  sealedPrivateJwk: text('sealed_private_jwk').notNull(),
  /** Which secret sealed it: the start of a digest of it. */
  sealedWith: text('sealed_with').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
  activatesAt: timestamp('activates_at', { withTimezone: true }).notNull().defaultNow(),
  /** When its successor activates; null until there is one. */
  retiresAt: timestamp('retires_at', { withTimezone: true }),
  /** When the last token under it has expired; null until it has retired. */
  expiresAt: timestamp('expires_at', { withTimezone: true }),
})

import { index, pgTable, text, timestamp } from 'drizzle-orm/pg-core'

/** Signed proofs that must not be accepted twice, until they expire by themselves. */
export const usedProofs = pgTable(
  'used_proofs',
  {
    /** SHA-256 of kind, owner and `jti`, so that rows stay small however long a `jti` is. */
    key: text().primaryKey(),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  },
  (t) => [index('used_proofs_expiry').on(t.expiresAt)],
)

import { pgTable, text } from 'drizzle-orm/pg-core'

/** Secrets that last as long as the database, sealed like the signing keys. */
export const serverSecrets = pgTable('server_secrets', {
  name: text({ enum: ['subject'] }).primaryKey(),
  sealedValue: text('sealed_value').notNull(),
  sealedWith: text('sealed_with').notNull(),
})

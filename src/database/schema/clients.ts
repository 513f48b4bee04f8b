import { sql } from 'drizzle-orm'
import { check, index, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import { clientAuthenticationMethods, clientStatuses, clientTypes } from '#/protocol/vocabulary.ts'
import { oneOf } from './one-of.ts'
import { users } from './users.ts'

export const clients = pgTable(
  'clients',
  {
    clientId: text('client_id').primaryKey(),
    name: text().notNull(),
    uri: text(),
    type: text({ enum: clientTypes }).notNull(),
    status: text({ enum: clientStatuses }).notNull().default('pending'),
    /** SHA-256 of a random secret; null for public clients. */
    secretHash: text('secret_hash'),
    tokenEndpointAuthMethod: text('token_endpoint_auth_method', {
      enum: clientAuthenticationMethods,
    }).notNull(),
    redirectUris: text('redirect_uris').array().notNull(),
    grantTypes: text('grant_types').array().notNull(),
    /** Space separated, RFC 6749 §3.3: the most this client may ask for. */
    scope: text().notNull(),
    ownerId: uuid('owner_id').references(() => users.id, { onDelete: 'set null' }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (t) => [
    index('idx_clients_status').on(t.status),
    index('clients_not_active').on(t.clientId).where(sql`${t.status} <> 'active'`),
    index('clients_owner').on(t.ownerId),
    check('clients_type', oneOf(t.type, clientTypes)),
    check('clients_status', oneOf(t.status, clientStatuses)),
  ],
)

export type Client = typeof clients.$inferSelect

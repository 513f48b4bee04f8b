import { index, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { clients } from './clients.ts'
import { sessions } from './sessions.ts'

/** Clients to notify of the end of a session (OIDC Back-Channel Logout §2.1). */
export const sessionClients = pgTable(
  'session_clients',
  {
    sessionId: uuid('session_id')
      .notNull()
      .references(() => sessions.id, { onDelete: 'cascade' }),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.clientId, { onDelete: 'cascade' }),
    /** The session under the name the client knows: its own id, or that of the one it replaced. */
    sid: uuid().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.sessionId, t.clientId, t.sid] }),
    index('session_clients_client').on(t.clientId),
  ],
)

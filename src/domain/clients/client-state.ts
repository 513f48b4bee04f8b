/** When a client may be used. */
import { eq, type SQL, sql } from 'drizzle-orm'
import { type Client, clients } from '#/database/schema/clients.ts'

export const whereActiveClient: SQL = eq(clients.status, 'active')

/** The opposite; written out, as the partial index has it. */
export const whereInactiveClient: SQL = sql`${clients.status} <> 'active'`

/** One that waits for approval. */
export const wherePendingClient: SQL = eq(clients.status, 'pending')

/** The same as `whereActiveClient`, of a row. */
export const isActiveClient = ({ status }: Pick<Client, 'status'>): boolean => status === 'active'

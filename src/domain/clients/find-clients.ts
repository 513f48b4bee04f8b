/** The list of clients, a page at a time. */
import { and, asc, eq, not, type SQL, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import type { ClientStatus } from '#/protocol/vocabulary.ts'
import { wherePendingClient } from './client-state.ts'

/** Where a page begins: behind the client with this name, as it is sorted, and id. */
export interface ClientCursor {
  readonly sortName: string
  readonly clientId: string
}

export interface ClientFilter {
  /** Without it all that do not wait for approval. */
  readonly status?: ClientStatus | undefined
  readonly clientId?: string | undefined
  /** The beginning of the name, in small or capital letters. */
  readonly namePrefix?: string | undefined
}

/** One collation for order, cursor and prefix, so that one index serves all three. */
const sortName = sql<string>`lower(${clients.name}) collate "C"`

/** A page of clients by name. */
export const clientsPageQuery = (
  db: Database,
  { status, clientId, namePrefix }: ClientFilter,
  { after, limit }: { after?: ClientCursor | undefined; limit: number },
) =>
  db
    .select({ client: clients, sortName })
    .from(clients)
    .where(
      and(
        status ? eq(clients.status, status) : not(wherePendingClient),
        clientId ? eq(clients.clientId, clientId) : undefined,
        namePrefix ? beginsWith(namePrefix) : undefined,
        after &&
          sql`(${sortName}, ${clients.clientId}) > (${after.sortName}::text, ${after.clientId}::text)`,
      ),
    )
    .orderBy(asc(sortName), asc(clients.clientId))
    .limit(limit)

const beginsWith = (text: string): SQL =>
  sql`${sortName} like lower(${text.replaceAll(/[\\%_]/g, '\\$&')}::text) || '%'`

/** How many clients wait for approval. */
export const countPendingClients = (db: Database): Promise<number> =>
  db.$count(clients, wherePendingClient)

/**
 * By which reading of its row a client was judged. Requests are judged by a cached client; the statement that gives it
 * something compares the row that it locks, so that nobody gets by with what the client was a moment ago.
 */
import { eq, getTableColumns, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { sqlStates } from '#/database/errors.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import { type Placeholders, prepared } from '#/database/statements/statements.ts'

/** Postgres gives each update of a row another one: also what is changed by hand, or by replicas of a release before. */
const rowVersion = sql<string>`${clients}.xmin::text`

export interface VersionedClient extends Client {
  /** Differs after every change of the row. */
  readonly version: string
}

/** What a versioned client is selected by. */
export const versionedColumns = { ...getTableColumns(clients), version: rowVersion }

/** Who asks, as the request was judged by. */
export interface JudgedClient {
  readonly clientId: string
  readonly clientVersion: string
}

/** The condition that the row is still the one that was read. */
export const isClientVersion = (version: Placeholder): SQL => sql`${rowVersion} = ${version}::text`

/** A request was judged by a client that has changed since. It has used nothing up, and is to be judged again. */
export class StaleClientError extends Error {
  override readonly name = 'StaleClientError'
  /** Serialization failure: to whoever meets it a second time, two transactions are in each other's way. */
  readonly code = sqlStates.conflict

  constructor() {
    super('the client has changed since the request was judged')
  }
}

const selectVersion = prepared((db, { clientId }: Placeholders<{ clientId: string }>) =>
  db.select({ version: rowVersion }).from(clients).where(eq(clients.clientId, clientId)),
)

/** Throws a `StaleClientError` for a client that is there, but not as it was read. */
export async function requireCurrentClient(
  db: Database,
  { clientId, clientVersion }: JudgedClient,
): Promise<void> {
  const [row] = await selectVersion(db, { clientId })
  if (row && row.version !== clientVersion) throw new StaleClientError()
}

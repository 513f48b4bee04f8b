/** What the token endpoint does around the verbs of the domain: it judges by the client as it is, and again if that changes. */
import type { Database } from '#/database/client.ts'
import { StaleClientError } from '#/domain/clients/client-version.ts'
import { findClient } from '#/domain/clients/clients.ts'

export const clientVersionOf = async (db: Database, clientId: string): Promise<string> =>
  (await findClient(db, clientId))?.version ?? ''

/** Calls a verb by the version of its client; `known` is one that was read before. */
export async function judged<T>(
  db: Database,
  { clientId, clientVersion: known }: { clientId: string; clientVersion?: string | undefined },
  verb: (clientVersion: string) => Promise<T>,
): Promise<T> {
  try {
    return await verb(known ?? (await clientVersionOf(db, clientId)))
  } catch (error) {
    if (!(error instanceof StaleClientError)) throw error
    return verb(await clientVersionOf(db, clientId))
  }
}

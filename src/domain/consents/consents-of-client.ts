/** Who has let a client in: a page at a time, and one by its id. */
import { and, desc, eq, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { consents } from '#/database/schema/consents.ts'
import { users } from '#/database/schema/users.ts'
import { whereConsentInForce } from './consent-state.ts'

/** Whereafter a page begins: when the last one before it was granted, to the microsecond, and its id. */
export interface ConsentCursor {
  readonly grantedAt: string
  readonly id: string
}

/** Consents in force, latest first. */
export const consentsOfClientQuery = (
  db: Database,
  clientId: string,
  { after, limit }: { after?: ConsentCursor | undefined; limit: number },
) =>
  db
    .select({
      id: consents.id,
      userId: users.id,
      username: users.username,
      scope: consents.scope,
      grantedAt: consents.grantedAt,
      exactly: sql<string>`to_char(${consents.grantedAt} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
    })
    .from(consents)
    .innerJoin(users, eq(users.id, consents.userId))
    .where(
      and(
        eq(consents.clientId, clientId),
        whereConsentInForce,
        after &&
          sql`(${consents.grantedAt}, ${consents.id}) < (${after.grantedAt}::timestamptz, ${after.id}::uuid)`,
      ),
    )
    .orderBy(desc(consents.grantedAt), desc(consents.id))
    .limit(limit)

/** Whose consent it is; undefined when this client has none by that id. */
export const findConsentUser = async (
  db: Database,
  { id, clientId }: { readonly id: string; readonly clientId: string },
): Promise<{ id: string; username: string } | undefined> =>
  (
    await db
      .select({ id: users.id, username: users.username })
      .from(consents)
      .innerJoin(users, eq(users.id, consents.userId))
      .where(and(eq(consents.id, id), eq(consents.clientId, clientId)))
  )[0]

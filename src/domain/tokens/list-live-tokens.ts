import { and, desc, eq, getTableColumns, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { users } from '#/database/schema/users.ts'
import type { StoredTokenType } from '#/protocol/vocabulary.ts'
import { whereLiveToken } from './token-state.ts'

export interface LiveTokenFilter {
  readonly userId?: string | undefined
  readonly clientId?: string | undefined
  readonly type?: StoredTokenType | undefined
}

/** Whereafter a page begins: the last token before it and its end, to the microsecond. */
export interface LiveTokenCursor {
  readonly expiresAt: string
  readonly id: string
}

interface Page {
  readonly now: Date
  readonly after?: LiveTokenCursor | undefined
  readonly limit: number
}

/** Live tokens, those that last longest first: that order is an index's. */
export const liveTokensQuery = (
  db: Database,
  { userId, clientId, type }: LiveTokenFilter,
  { now, after, limit }: Page,
) => {
  const { id, familyId, scope, createdAt, expiresAt } = getTableColumns(tokens)
  return db
    .select({
      id,
      familyId,
      scope,
      createdAt,
      expiresAt,
      type: tokens.type,
      clientId: tokens.clientId,
      clientName: clients.name,
      username: users.username,
      userId: tokens.userId,
      exactly: sql<string>`to_char(${expiresAt} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
    })
    .from(tokens)
    .innerJoin(clients, eq(clients.clientId, tokens.clientId))
    .leftJoin(users, eq(users.id, tokens.userId))
    .where(
      and(
        whereLiveToken(now),
        userId ? eq(tokens.userId, userId) : undefined,
        clientId ? eq(tokens.clientId, clientId) : undefined,
        type ? eq(tokens.type, type) : undefined,
        after && sql`(${expiresAt}, ${id}) < (${after.expiresAt}::timestamptz, ${after.id}::uuid)`,
        // The row comparison alone does not bound an index on the moment.
        after && sql`${expiresAt} <= ${after.expiresAt}::timestamptz`,
      ),
    )
    .orderBy(desc(expiresAt), desc(id))
    .limit(limit)
}

import { and, desc, eq, max, min, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { whereLiveToken } from './token-state.ts'

/** As many as are ever listed. */
export const maxTokenFamilies = 200

/**
 * A user's live token families, latest first: which app was let in, when its tokens were last renewed, until when they
 * are good. What others were given in exchange belongs to the same family.
 */
export const listTokenFamilies = (db: Database, userId: string, now: Date) =>
  db
    .select({
      familyId: tokens.familyId,
      clientName: clients.name,
      // The refresh token's, which is the widest, or that of the newest access token.
      scope: sql<string>`(array_agg(${tokens.scope} order by ${tokens.type} desc, ${tokens.createdAt} desc))[1]`,
      issuedAt: sql<Date>`${min(tokens.createdAt)}`.mapWith(tokens.createdAt),
      lastUsedAt: sql<Date>`${max(tokens.createdAt)}`.mapWith(tokens.createdAt),
      expiresAt: sql<Date>`${max(tokens.expiresAt)}`.mapWith(tokens.expiresAt),
    })
    .from(tokens)
    .innerJoin(
      clients,
      eq(clients.clientId, sql`coalesce(${tokens.originClientId}, ${tokens.clientId})`),
    )
    .where(and(eq(tokens.userId, userId), whereLiveToken(now)))
    .groupBy(tokens.familyId, clients.name)
    .orderBy(desc(min(tokens.createdAt)))
    .limit(maxTokenFamilies)

import { and, desc, eq, gt, isNull, max, min, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { clients } from '#/database/schema/clients.ts'
import { tokens } from '#/database/schema/tokens.ts'

/** A user's live token families, latest first: which apps hold tokens, since when, until when. */
export const listTokenFamilies = (db: Database, userId: string, now: Date) =>
  db
    .select({
      familyId: tokens.familyId,
      clientName: clients.name,
      scope: sql<string>`max(${tokens.scope})`,
      issuedAt: sql<Date>`${min(tokens.createdAt)}`.mapWith(tokens.createdAt),
      expiresAt: sql<Date>`${max(tokens.expiresAt)}`.mapWith(tokens.expiresAt),
    })
    .from(tokens)
    .innerJoin(clients, eq(clients.clientId, tokens.clientId))
    .where(and(eq(tokens.userId, userId), isNull(tokens.revokedAt), gt(tokens.expiresAt, now)))
    .groupBy(tokens.familyId, clients.name)
    .orderBy(desc(min(tokens.createdAt)))
    .limit(200)

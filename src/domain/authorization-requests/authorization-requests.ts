/** Validated authorization requests that wait while their user signs in or consents. They expire by themselves. */
import { and, eq, gt, lte } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { deleteBatch } from '#/database/delete-batch.ts'
import {
  type AuthorizationRequest,
  authorizationRequests,
  type Interaction,
} from '#/database/schema/authorization-requests.ts'
import { randomSecret } from '#/protocol/secrets.ts'

export type { AuthorizationRequest, Interaction } from '#/database/schema/authorization-requests.ts'

/** What a request asks for, before or without being stored. */
export type RequestedAuthorization = Omit<AuthorizationRequest, 'id' | 'createdAt' | 'expiresAt'>

const lifetimeMs = 10 * 60 * 1000

/** Stores a request for ten minutes; answers its id. */
export async function storeAuthorizationRequest(
  db: Database,
  request: RequestedAuthorization,
  now: Date,
): Promise<string> {
  const id = randomSecret()
  await db
    .insert(authorizationRequests)
    .values({ ...request, id, createdAt: now, expiresAt: new Date(now.getTime() + lifetimeMs) })
  return id
}

export async function findAuthorizationRequest(
  db: Database,
  id: string,
  now: Date,
): Promise<AuthorizationRequest | undefined> {
  // Ids come from strangers; Postgres refuses to compare with a NUL.
  if (id.includes('\0')) return undefined
  const rows = await db
    .select()
    .from(authorizationRequests)
    .where(and(eq(authorizationRequests.id, id), gt(authorizationRequests.expiresAt, now)))
  return rows[0]
}

/** Single use: of two answers to one request, one gets it. */
export async function consumeAuthorizationRequest(
  db: Database,
  id: string,
  now: Date,
): Promise<AuthorizationRequest | undefined> {
  const rows = await db
    .delete(authorizationRequests)
    .where(and(eq(authorizationRequests.id, id), gt(authorizationRequests.expiresAt, now)))
    .returning()
  return rows[0]
}

/** Notes that the user of this session goes on as who they are (`select_account`). */
export async function chooseAccount(
  db: Database,
  { id, interaction }: { id: string; interaction: Interaction },
  sessionId: string,
): Promise<void> {
  await db
    .update(authorizationRequests)
    .set({ interaction: { ...interaction, chosenSession: sessionId } })
    .where(eq(authorizationRequests.id, id))
}

/** Deletes up to `limit` requests that nobody answered in time. */
export const deleteExpiredRequests = (db: Database, now: Date, limit: number): Promise<number> =>
  deleteBatch(db, authorizationRequests, {
    key: authorizationRequests.id,
    where: lte(authorizationRequests.expiresAt, now),
    limit,
  })

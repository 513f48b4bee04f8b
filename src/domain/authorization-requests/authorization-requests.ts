/** Validated authorization requests that wait while their user signs in or consents. They expire by themselves. */
import { and, eq, gt, isNotNull, isNull, lte, sql } from 'drizzle-orm'
import { deleteBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { inTime, TooLateError } from '#/database/in-time.ts'
import {
  type Answer,
  type AuthorizationRequest,
  authorizationRequests,
  type Interaction,
} from '#/database/schema/authorization-requests.ts'
import { reserveRow } from '#/domain/row-limits/row-limits.ts'
import { randomSecret } from '#/protocol/secrets.ts'

export type {
  Answer,
  AuthorizationRequest,
  Interaction,
} from '#/database/schema/authorization-requests.ts'

/** What a request asks for, before or without being stored. */
export type RequestedAuthorization = Omit<
  AuthorizationRequest,
  'id' | 'pushed' | 'createdAt' | 'expiresAt'
>

const lifetimeMs = 10 * 60 * 1000

/** Stores a request for ten minutes; answers its id. */
export const storeAuthorizationRequest = (
  db: Database,
  request: RequestedAuthorization,
  now: Date,
): Promise<string> => insert(db, request, { pushed: false, lifetimeMs, now })

/** RFC 9126 §2.2. */
const requestUriPrefix = 'urn:ietf:params:oauth:request_uri:'

/** By what a client refers to the request of that id. */
export const requestUriOf = (id: string): string => `${requestUriPrefix}${id}`

/** The id in such a reference; undefined for every other address. */
export const idOfRequestUri = (uri: string): string | undefined =>
  uri.startsWith(requestUriPrefix) ? uri.slice(requestUriPrefix.length) : undefined

/** Stores a request that its client has pushed, until a browser comes with it; answers its id. */
export const pushAuthorizationRequest = (
  db: Database,
  request: RequestedAuthorization,
  { lifetimeMs: untilVisitMs, now }: { lifetimeMs: number; now: Date },
): Promise<string> => insert(db, request, { pushed: true, lifetimeMs: untilVisitMs, now })

async function insert(
  db: Database,
  request: RequestedAuthorization,
  { pushed, lifetimeMs: ms, now }: { pushed: boolean; lifetimeMs: number; now: Date },
): Promise<string> {
  const id = randomSecret()
  const expiresAt = later(now, ms)
  const row = { ...request, id, pushed, createdAt: now, expiresAt }
  await reserveRow(db, 'authorization_requests', () => db.insert(authorizationRequests).values(row))
  return id
}

const later = (now: Date, ms: number) => new Date(now.getTime() + ms)

/**
 * The request that a client has pushed, for the browser that comes with it. The first visit starts its ten minutes, and
 * the time from which on a sign-in is a fresh one; further visits (a page that is loaded again) find it as long as it
 * has not been answered.
 */
export async function visitPushedRequest(
  db: Database,
  { id, clientId }: { id: string; clientId: string },
  now: Date,
): Promise<{ request: AuthorizationRequest; isFirst: boolean } | undefined> {
  const unvisited = and(live(id, now, true), eq(authorizationRequests.clientId, clientId))
  const [visited] = await db
    .update(authorizationRequests)
    .set({ pushed: false, createdAt: now, expiresAt: later(now, lifetimeMs) })
    .where(and(unvisited, inTime()))
    .returning()
  if (visited) return { request: visited, isFirst: true }
  const known = await findAuthorizationRequest(db, id, now)
  if (!known && (await db.$count(authorizationRequests, unvisited)) > 0) throw new TooLateError()
  return known?.clientId === clientId ? { request: known, isFirst: false } : undefined
}

export async function findAuthorizationRequest(
  db: Database,
  id: string,
  now: Date,
): Promise<AuthorizationRequest | undefined> {
  const rows = await db.select().from(authorizationRequests).where(live(id, now))
  return rows[0]
}

/** Single use: of two answers to one request, one gets it. What it was is remembered for a moment. */
export async function consumeAuthorizationRequest(
  db: Database,
  { id, interaction }: Pick<AuthorizationRequest, 'id' | 'interaction'>,
  { answer, now }: { answer: Answer; now: Date },
): Promise<AuthorizationRequest | undefined> {
  const rows = await db
    .update(authorizationRequests)
    .set({ interaction: { ...interaction, answer }, expiresAt: now })
    .where(and(live(id, now), inTime()))
    .returning()
  if (rows.length === 0 && (await findAuthorizationRequest(db, id, now))) throw new TooLateError()
  return rows[0]
}

/** How long a form that is sent twice gets the answer that it got at first. */
const repeatMs = 60 * 1000

/** A request that this session has answered a moment ago: a button was pressed twice. */
export async function findAnsweredRequest(
  db: Database,
  { id, sessionId }: { id: string; sessionId: string | undefined },
  now: Date,
): Promise<(AuthorizationRequest & { readonly answer: Answer }) | undefined> {
  const rows = await db
    .select()
    .from(authorizationRequests)
    .where(
      and(
        eq(authorizationRequests.id, id),
        isNotNull(answered),
        gt(authorizationRequests.expiresAt, earlier(now)),
      ),
    )
  const answer = rows[0]?.interaction.answer
  return rows[0] && answer && answer.sessionId === sessionId ? { ...rows[0], answer } : undefined
}

const answered = sql`${authorizationRequests.interaction} -> 'answer'`

const earlier = (now: Date) => new Date(now.getTime() - repeatMs)

const live = (id: string, now: Date, pushed = false) =>
  and(
    eq(authorizationRequests.id, id),
    eq(authorizationRequests.pushed, pushed),
    gt(authorizationRequests.expiresAt, now),
    // The clock of the replica that has answered it may be ahead of ours.
    isNull(answered),
  )

/** The same as no limit, but that the time must be known. */
const anyAge = 999_999_999

/**
 * How long ago its user may have proven who they are, in seconds: 0 if they are to do so anew, undefined if nothing need
 * be known about it (OIDC Core §3.1.2.1; `require_auth_time`: OpenID Connect Registration §2).
 */
export function maxAgeOf(
  { interaction: { prompt, maxAge } }: Pick<RequestedAuthorization, 'interaction'>,
  client: { readonly requireAuthTime: boolean },
): number | undefined {
  if (prompt?.includes('login')) return 0
  return maxAge ?? (client.requireAuthTime ? anyAge : undefined)
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

/** Deletes up to `limit` requests that were answered, or not in time. */
export const deleteExpiredRequests = (db: Database, now: Date, limit: number): Promise<number> =>
  deleteBatch(db, authorizationRequests, {
    key: authorizationRequests.id,
    where: lte(authorizationRequests.expiresAt, earlier(now)),
    order: authorizationRequests.expiresAt,
    limit,
  })

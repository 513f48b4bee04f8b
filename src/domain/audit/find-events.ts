/** Reading the audit log: newest first, in pages that begin where the one before ended. */
import { and, desc, eq, getTableColumns, gte, lt, lte, max, type SQL, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { type AuditEventType, auditEventTypes, type auditSeverities } from './audit.ts'
import { countOf, repeatedEventTypes } from './repeated-events.ts'

type AuditSeverity = (typeof auditSeverities)[number]

/** What all events of an answer have in common. */
export interface AuditFilter {
  readonly type?: AuditEventType | undefined
  readonly severity?: AuditSeverity | undefined
  readonly failuresOnly?: boolean | undefined
  readonly actorUserId?: string | undefined
  readonly clientId?: string | undefined
  readonly resourceId?: string | undefined
  readonly ip?: string | undefined
  readonly from?: Date | undefined
  /** The first moment that is too late. */
  readonly to?: Date | undefined
}

/** Whereafter a page begins: the moment, to the microsecond, and the id of the last event before it. */
export interface AuditCursor {
  readonly at: string
  readonly id: number
}

export interface AuditPage {
  readonly limit: number
  readonly after?: AuditCursor | undefined
  /** The newest event that counts: later ones are not there. */
  readonly newest?: number | undefined
}

export type FoundAuditEvent = Awaited<ReturnType<typeof auditEventsQuery>>[number]

/** One page of the events that fit, newest first; events of one moment in the order of their ids. */
export const auditEventsQuery = (
  db: Database,
  filter: AuditFilter,
  { limit, after, newest }: AuditPage,
) =>
  db
    .select({
      ...getTableColumns(auditEvents),
      exactly: sql<string>`to_char(${auditEvents.at} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
    })
    .from(auditEvents)
    .where(
      and(
        ...conditions(filter),
        newest === undefined ? undefined : lte(auditEvents.id, newest),
        after &&
          sql`(${auditEvents.at}, ${auditEvents.id}) < (${after.at}::timestamptz, ${after.id}::bigint)`,
      ),
    )
    .orderBy(desc(auditEvents.at), desc(auditEvents.id))
    .limit(limit)

function conditions(filter: AuditFilter): SQL[] {
  const given = [
    filter.type && eq(auditEvents.type, filter.type),
    filter.severity && eq(auditEvents.severity, filter.severity),
    // Said in words, since the index is on these alone.
    filter.severity && filter.severity !== 'info' && sql`${auditEvents.severity} <> 'info'`,
    filter.failuresOnly ? sql`not ${auditEvents.success}` : undefined,
    filter.actorUserId && eq(auditEvents.actorUserId, filter.actorUserId),
    filter.clientId && eq(auditEvents.clientId, filter.clientId),
    filter.resourceId && eq(auditEvents.resourceId, filter.resourceId),
    filter.ip && eq(auditEvents.ip, filter.ip),
    filter.from && gte(auditEvents.at, filter.from),
    filter.to && lt(auditEvents.at, filter.to),
  ]
  return given.filter((condition) => typeof condition === 'object')
}

/** The newest event there is; 0 when there is none. */
export async function findNewestAuditEvent(db: Database): Promise<number> {
  return (await db.select({ id: max(auditEvents.id) }).from(auditEvents))[0]?.id ?? 0
}

/** All events that fit up to the newest, in batches: no more than one is held at a time. */
export async function* readAuditEvents(
  db: Database,
  filter: AuditFilter,
  { newest, batch }: { newest: number; batch: number },
): AsyncGenerator<FoundAuditEvent[], void> {
  let after: AuditCursor | undefined
  for (;;) {
    const events = await auditEventsQuery(db, filter, { limit: batch, newest, after })
    const last = events.at(-1)
    if (last === undefined) return
    yield events
    if (events.length < batch) return
    after = { at: last.exactly, id: last.id }
  }
}

/**
 * How many events of each type there were. The index on type and moment answers each count; only where a row may stand
 * for several events, the rows have to be read.
 */
export const auditCountsQuery = (db: Database, { from, to }: { from: Date; to: Date }) =>
  db
    .select({
      type: sql<AuditEventType>`types.type`,
      count: sql<number>`counted.n`.mapWith(Number),
    })
    .from(
      sql`unnest(array[${textsOf(auditEventTypes)}]::text[]) as types(type)
        cross join lateral (select case when types.type in (${textsOf(repeatedEventTypes)})
          then (select coalesce(sum(${countOf}), 0) ${between(from, to)})
          else (select count(*) ${between(from, to)}) end as n) counted`,
    )
    .where(sql`counted.n > 0`)

const between = (from: Date, to: Date) =>
  sql`from ${auditEvents} where ${auditEvents.type} = types.type
    and ${auditEvents.at} >= ${from.toISOString()}::timestamptz
    and ${auditEvents.at} < ${to.toISOString()}::timestamptz`

const textsOf = (texts: readonly string[]) =>
  sql.join(
    texts.map((text) => sql`${text}`),
    sql`, `,
  )

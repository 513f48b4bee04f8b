/**
 * Events that anyone can cause repeatedly: those of one kind and actor are one row per minute, with a count, so that
 * a flood cannot fill the log (ASVS 5.0 §16.3). They are buffered: a refusal never waits for them, and never fails
 * because of them.
 */
import { eq, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { withoutDeadline } from '#/database/deadline.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { slicesOf } from '#/database/slices-of.ts'
import { withinTime } from '#/telemetry/within-time.ts'
import { type AuditEvent, type AuditEventType, type AuditOrigin, auditRowOf } from './audit.ts'

/** The types of events that are written here, and nowhere else. */
export const repeatedEventTypes = [
  'AUTHENTICATION_FAILURE',
  'ACCESS_DENIED',
  'FORM_REFUSED',
  'CLIENT_AUTHENTICATION_FAILURE',
  'TOKEN_REQUEST_REFUSED',
  'INTROSPECTION_REFUSED',
  'REVOCATION_REFUSED',
  'REGISTRATION_REFUSED',
  'METRICS_REFUSED',
  'PROOF_REPLAYED',
] as const satisfies readonly AuditEventType[]

export interface RepeatedEvent extends Omit<AuditEvent, 'type'> {
  readonly type: (typeof repeatedEventTypes)[number]
}

export interface RepeatedEvents {
  /**
   * Writes an event down, or counts it with those like it: of the same type, actor, client and details, from the same
   * network, since less than a minute. True for the first of them. Details must come from closed lists.
   */
  note(origin: AuditOrigin, event: RepeatedEvent, network: string): boolean
  /** Resolves when everything noted so far is written, or given up. */
  flush(): Promise<void>
  /** The same, and gives up what cannot be written by then. */
  close(maxMs: number): Promise<void>
}

interface Options {
  /** So many events are lost. */
  readonly onDropped: (count: number, error: unknown) => void
  /** Rows a minute for each kind: of accounts of ours, and of everybody else. What is more shares one. */
  readonly most?: { readonly users: number; readonly strangers: number }
}

interface Entry {
  readonly row: ReturnType<typeof auditRowOf>
  /** On the clock of `performance.now()`. */
  readonly givenUpAt: number
  count: number
  /** How many of them the row tells of. */
  written: number
  id?: number
  /** What comes after it begins anew. */
  readonly forget: () => unknown
}

/** How many events a row stands for. */
export const countOf = sql<number>`coalesce((${auditEvents.details} ->> 'count')::integer, 1)`

const windowMs = 60_000
const flushMs = 1000
/** How long it is tried to write a count, its minute included. */
const patienceMs = 2 * windowMs

export function createRepeatedEvents(
  db: Database,
  { onDropped, most = { users: 1000, strangers: 100 } }: Options,
): RepeatedEvents {
  const windows = createWindows(most)
  const unwritten = new Set<Entry>()
  let timer: NodeJS.Timeout | undefined
  let [last, waits] = [Promise.resolve(), false]
  /** One after the other: a row is there before its count is. */
  function flush(): Promise<void> {
    if (waits) return last
    waits = true
    last = withoutDeadline(() => last.then(write))
    return last
  }
  async function write() {
    waits = false
    const entries = [...unwritten]
    const isNew = (entry: Entry) => entry.id === undefined
    for (const some of slicesOf(entries.filter(isNew)))
      await insert(db, some).catch((error: unknown) => drop(some, error))
    for (const some of slicesOf(entries.filter(isBehind)))
      await update(db, some).catch((error: unknown) => putOff(some, error))
    for (const entry of entries) if (!isBehind(entry)) unwritten.delete(entry)
  }
  function drop(entries: readonly Entry[], error: unknown) {
    let lost = 0
    for (const entry of entries) {
      lost += entry.count - entry.written
      entry.written = entry.count
      entry.forget()
      unwritten.delete(entry)
    }
    onDropped(lost, error)
  }
  function putOff(entries: readonly Entry[], error: unknown) {
    const late = entries.filter(({ givenUpAt }) => performance.now() > givenUpAt)
    if (late.length > 0) drop(late, error)
    flushSoon()
  }
  function flushSoon() {
    timer ??= setTimeout(() => {
      timer = undefined
      void flush()
    }, flushMs).unref()
  }
  return {
    note(origin, event, network) {
      const { entry, isFirst } = windows.find(auditRowOf(origin, event), network)
      entry.count += 1
      if (!origin.enabled) return isFirst
      unwritten.add(entry)
      if (isFirst) void flush()
      else flushSoon()
      return isFirst
    },
    flush,
    async close(maxMs) {
      await withinTime(flush(), maxMs).catch(() => undefined)
      clearTimeout(timer)
      if (unwritten.size > 0) drop([...unwritten], new Error('the server stops'))
    },
  }
}

const isBehind = ({ count, written }: Entry) => count > written

async function insert(db: Database, entries: readonly Entry[]) {
  const counts = entries.map(({ count }) => count)
  const rows = entries.map(({ row, count }) => ({
    ...row,
    details: count === 1 ? row.details : { ...row.details, count },
  }))
  const inserted = await db.insert(auditEvents).values(rows).returning({ id: auditEvents.id })
  entries.forEach((entry, n) => {
    const { id } = inserted[n] ?? {}
    if (id !== undefined) entry.id = id
    entry.written = counts[n] ?? 0
  })
}

/** Sets each count to what it is: after a lost answer it can be set again. */
async function update(db: Database, entries: readonly Entry[]) {
  const counts = entries.map(({ count }) => count)
  const values = entries.map(({ id }, n) => sql`(${id}::bigint, ${counts[n]}::integer)`)
  await db
    .update(auditEvents)
    .set({ details: sql`${auditEvents.details} || jsonb_build_object('count', counted.n)` })
    .from(sql`(values ${sql.join(values, sql`, `)}) as counted(id, n)`)
    .where(eq(auditEvents.id, sql`counted.id`))
  entries.forEach((entry, n) => {
    entry.written = counts[n] ?? 0
  })
}

/** What happened within a minute; an entry is found until its minute is over. */
function createWindows(most: { readonly users: number; readonly strangers: number }) {
  const kinds = new Map<string, Map<string, Entry>>()
  function entriesOf(kind: string, now: Date): Map<string, Entry> {
    const entries = kinds.get(kind) ?? new Map<string, Entry>()
    kinds.set(kind, entries)
    for (const [actor, { row }] of entries) {
      if (now.getTime() - row.at.getTime() < windowMs) break
      entries.delete(actor)
    }
    return entries
  }
  return {
    find(row: Entry['row'], network: string): { entry: Entry; isFirst: boolean } {
      const isUser = row.actorUserId !== null
      const entries = entriesOf(JSON.stringify([row.type, row.details, isUser]), row.at)
      const own = JSON.stringify([row.actorUserId, row.clientId, network])
      const isRoom = entries.size < (isUser ? most.users : most.strangers)
      const actor = isRoom || entries.has(own) ? own : others
      const known = entries.get(actor)
      if (known) return { entry: known, isFirst: false }
      const entry: Entry = {
        row: actor === own ? row : ofOthers(row),
        givenUpAt: performance.now() + patienceMs,
        count: 0,
        written: 0,
        forget: () => entries.get(actor) === entry && entries.delete(actor),
      }
      entries.set(actor, entry)
      return { entry, isFirst: true }
    },
  }
}

const others = 'others'

const ofOthers = (row: Entry['row']): Entry['row'] => ({
  ...row,
  actorUserId: null,
  actorName: null,
  clientId: null,
  ip: null,
  userAgent: null,
  traceId: null,
  details: { ...row.details, actors: 'many' },
})

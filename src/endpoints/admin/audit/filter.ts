/** What the audit log is asked for. A wrong value is refused, never left out: the answer would look like more than it is. */
import { isIP } from 'node:net'
import { z } from 'zod'
import type { Database } from '#/database/client.ts'
import { auditEventTypes, auditSeverities } from '#/domain/audit/audit.ts'
import type { AuditCursor, AuditFilter } from '#/domain/audit/find-events.ts'
import type { AppContext } from '#/web/request/context.ts'
import { cursorBy } from '../cursor.ts'
import { findAccountId } from '../find-account.ts'

const identifier = (what: string) => z.string().max(200, `The ${what} is too long.`)

const wrongTime = 'Enter times in UTC, such as 2026-11-24T18:30.'

/** What comes after the year 9999 is written in a way that Postgres does not read. */
export const endOfTime = Date.UTC(10_000, 0)

/** A moment in UTC unless it says otherwise. */
const moment = z
  .string()
  .regex(
    /^(19[7-9]\d|[2-9]\d{3})-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?$/,
    wrongTime,
  )
  // 30 February would be taken for a day in March.
  .refine((text) => new Date(text.slice(0, 10)).toJSON()?.startsWith(text.slice(0, 10)), wrongTime)
  .transform((text) => new Date(/(Z|[+-]\d{2}:\d{2})$/.test(text) ? text : `${text}Z`))
  .refine((at) => at.getTime() < endOfTime, wrongTime)

/** Postgres keeps ids in 64 bits; numbers of ours are exact up to 53. */
const cursor = cursorBy((id) => /^\d{1,15}$/.test(id))

const asked = z
  .strictObject({
    type: z.enum(auditEventTypes, 'Unknown event type.').optional(),
    severity: z.enum(auditSeverities, 'Unknown severity.').optional(),
    failures: z.literal('only', 'The failures filter must be “only” or left out.').optional(),
    actor: identifier('actor').optional(),
    client: identifier('client ID').optional(),
    resource: identifier('resource ID').optional(),
    ip: z
      .string()
      .refine((text) => isIP(text) > 0, 'Enter a complete IP address.')
      .optional(),
    from: moment.optional(),
    to: moment.optional(),
    after: cursor.optional(),
    format: z.enum(['csv', 'json'], 'The format must be csv or json.').optional(),
  })
  .refine(({ from, to }) => !(from && to && from >= to), 'The end must be after the start.')

const filterNames = [
  'type',
  'severity',
  'failures',
  'actor',
  'client',
  'resource',
  'ip',
  'from',
  'to',
] as const

export type FilterName = (typeof filterNames)[number]

/** The filters as they were sent, so that a form can show them again. */
export type SentFilter = Readonly<Partial<Record<FilterName, string>>>

interface AuditQuestion {
  readonly filter: AuditFilter
  readonly after: AuditCursor | undefined
  readonly format: 'csv' | 'json'
}

export const sentFilter = (c: AppContext): SentFilter =>
  Object.fromEntries(
    filterNames.flatMap((name) => {
      const value = c.req.query(name)?.trim()
      return value ? [[name, value]] : []
    }),
  )

/** The question of a request, or what is wrong with it. A form sends what was left empty, too. */
export async function readAuditFilter(
  c: AppContext,
  db: Database,
): Promise<AuditQuestion | { readonly problem: string }> {
  const sent = Object.entries(c.req.queries()).map(([name, values]) => [
    name,
    values.join(' ').trim(),
  ])
  const parsed = asked.safeParse(Object.fromEntries(sent.filter(([, value]) => value !== '')))
  if (!parsed.success) return { problem: problemOf(parsed.error) }
  const { actor, after, format = 'csv', ...rest } = parsed.data
  const actorUserId = actor && (await findAccountId(db, actor))
  if (actor && !actorUserId)
    return { problem: 'There is no user with this name. For a deleted user, enter the ID.' }
  const place = after && { at: after.at, id: Number(after.id) }
  const filter = {
    type: rest.type,
    severity: rest.severity,
    failuresOnly: rest.failures === 'only',
    actorUserId,
    clientId: rest.client,
    resourceId: rest.resource,
    ip: rest.ip,
    from: rest.from,
    to: rest.to,
  }
  return { filter, after: place, format }
}

function problemOf(error: z.ZodError): string {
  const [issue] = error.issues
  return issue?.code === 'unrecognized_keys'
    ? 'Unknown filter.'
    : (issue?.message ?? 'Invalid filter.')
}

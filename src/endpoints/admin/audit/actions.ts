import { z } from 'zod'
import { auditSeverities, auditSeverityOf, writeAudit } from '#/domain/audit/audit.ts'
import {
  auditCountsQuery,
  auditEventsQuery,
  findNewestAuditEvent,
  readAuditEvents,
} from '#/domain/audit/find-events.ts'
import { span } from '#/telemetry/tracing.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext } from '#/web/request/context.ts'
import { actedBy } from '#/web/sessions/current-user.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AdminOptions } from '../options.ts'
import { asJson, exportFormats, streamFile } from './export.ts'
import { endOfTime, readAuditFilter, sentFilter } from './filter.ts'
import { renderAuditPage } from './pages.ts'

const pageSize = 50
const batchSize = 1000

export async function getAudit(c: AppContext, { db, csrf }: AdminOptions) {
  const sent = sentFilter(c)
  const question = await readAuditFilter(c, db)
  const found =
    'problem' in question ? { events: [], next: undefined } : await findPage(db, question)
  const page = await renderAuditPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    sent,
    events: found.events,
    isOff: !c.var.origin.enabled,
    ...(found.next && {
      next: `/admin/audit?${new URLSearchParams({ ...sent, after: found.next })}`,
    }),
    ...('problem' in question && { problem: question.problem }),
  })
  return c.html(page, 'problem' in question ? 400 : 200)
}

export async function getAuditApi(c: AppContext, { db }: AdminOptions) {
  const { events, next } = await findPage(db, await requireQuestion(c, db))
  c.header('cache-control', 'no-store')
  return c.json({ events: events.map(asJson), next: next ?? null })
}

type Question = Exclude<Awaited<ReturnType<typeof readAuditFilter>>, { readonly problem: string }>

async function findPage(db: AdminOptions['db'], { filter, after }: Question) {
  const found = await auditEventsQuery(db, filter, { limit: pageSize + 1, after })
  const events = found.slice(0, pageSize)
  const last = found.length > pageSize ? events.at(-1) : undefined
  return { events, next: last && `${last.exactly}_${last.id}` }
}

async function requireQuestion(c: AppContext, db: AdminOptions['db']): Promise<Question> {
  const question = await readAuditFilter(c, db)
  if ('problem' in question) throw new PageError(400, 'Invalid filter', question.problem)
  return question
}

/** The export is in the log before its first line leaves. */
export async function getAuditExport(c: AppContext, { db }: AdminOptions) {
  const { filter, format } = await requireQuestion(c, db)
  const newest = await span('audit.export', async () => {
    const { actor, origin, now } = actedBy(c)
    const details = { ...sentFilter(c), format }
    await writeAudit(db, origin, { type: 'AUDIT_EXPORTED', at: now, actor, details })
    return findNewestAuditEvent(db)
  })
  const file = exportFormats[format]
  const batches = readAuditEvents(db, filter, { newest, batch: batchSize })
  return c.body(streamFile(batches, file), 200, {
    'content-type': file.contentType,
    'content-disposition': `attachment; filename="audit-${c.var.now.toISOString().slice(0, 10)}.${file.extension}"`,
    'cache-control': 'no-store',
  })
}

const day = 86_400_000
const range = z.strictObject({
  from: z.iso.datetime({ offset: true }).optional(),
  to: z.iso.datetime({ offset: true }).optional(),
})

/** Counts over at most 31 days, the last 24 hours unless told otherwise. */
export async function getAuditStats(c: AppContext, { db }: AdminOptions) {
  const parsed = range.safeParse(c.req.query())
  const to = new Date(parsed.data?.to ?? c.var.now)
  const from = new Date(parsed.data?.from ?? to.getTime() - day)
  const length = to.getTime() - from.getTime()
  const isOutside = from.getTime() < 0 || to.getTime() >= endOfTime
  if (!parsed.success || isOutside || !(length > 0 && length <= 31 * day))
    throw new PageError(400, 'Invalid period', 'Set from and to, at most 31 days apart.')
  const counts = await auditCountsQuery(db, { from, to })
  const bySeverity = auditSeverities.map((severity) => {
    const those = counts.filter(({ type }) => auditSeverityOf(type) === severity)
    return [severity, those.reduce((sum, { count }) => sum + count, 0)]
  })
  c.header('cache-control', 'no-store')
  return c.json({
    from: from.toISOString(),
    to: to.toISOString(),
    by_type: Object.fromEntries(counts.map(({ type, count }) => [type, count])),
    by_severity: Object.fromEntries(bySeverity),
  })
}

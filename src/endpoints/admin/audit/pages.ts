import { html } from 'hono/html'
import { auditEventTypes, auditSeverities } from '#/domain/audit/audit.ts'
import type { FoundAuditEvent } from '#/domain/audit/find-events.ts'
import {
  badge,
  choice,
  disclosure,
  emptyState,
  type FieldProps,
  fact,
  pageHeading,
  problem,
  selectField,
  textField,
} from '#/web/components.ts'
import type { Html } from '#/web/html.ts'
import { renderPage } from '#/web/layout.ts'
import { renderTime } from '#/web/times.ts'
import type { AdminPageProps } from '../page.ts'
import type { FilterName, SentFilter } from './filter.ts'
import { sentenceOf } from './sentences.ts'

export interface AuditPageProps extends AdminPageProps {
  readonly events: readonly FoundAuditEvent[]
  readonly sent: SentFilter
  /** Address of the next page, if there is one. */
  readonly next?: string
  readonly problem?: string
}

/** What happened here, newest first. */
export function renderAuditPage(props: AuditPageProps): Html {
  const { user, csrfToken, events, sent, next } = props
  const filtered = Object.keys(sent).length > 0
  const nothing = emptyState('key', {
    title: 'Nothing found',
    text: filtered ? 'No event fits all of these filters.' : 'Nothing has been written down yet.',
    action: filtered ? html`<p><a class="button" href="/admin/audit">Show everything</a></p>` : '',
  })
  return renderPage(
    { title: 'Audit log', user, csrfToken, nav: 'admin-audit', wide: true },
    html`${pageHeading('Audit log', 'What happened here, newest first. All times are in UTC.')}
${problem(props.problem, 'filter-problem')}
${disclosure({ title: filtered ? 'Change the filters' : 'Filter', open: filtered }, filterForm(sent))}
${props.problem ? '' : downloads(sent)}
${events.length > 0 ? eventTable(props) : props.problem ? '' : nothing}
${next && html`<p class="paging"><a class="button" href="${next}">Next page</a></p>`}`,
  )
}

function filterForm(sent: SentFilter): Html {
  const text = (name: FilterName, label: string, hint?: string): Html => {
    const field: FieldProps = { name, label, optional: true, verbatim: true, maxLength: 200 }
    return textField({ ...field, value: sent[name], ...(hint && { hint }) })
  }
  const select = (name: FilterName, label: string, values: readonly string[]): Html =>
    selectField({
      name,
      label,
      ...(sent[name] && { value: sent[name] }),
      options: [
        { value: '', text: 'Any' },
        ...values.map((value) => ({ value, text: inWords(value) })),
      ],
    })
  const time = 'Like 2026-11-24T18:30'
  return html`<form class="stack" method="get" action="/admin/audit">
${select('type', 'What happened', auditEventTypes)}
${select('severity', 'Severity', auditSeverities)}
${choice({ name: 'failures', value: 'only', label: 'Only what failed', checked: sent.failures === 'only' })}
${text('actor', 'Who did it', 'A username or the ID of an account')}
${text('client', 'Client ID')}
${text('resource', 'ID of what it was done to')}
${text('ip', 'IP address')}
${text('from', 'From', time)}
${text('to', 'Until', time)}
<p><button class="button button-primary">Show</button></p>
</form>`
}

const inWords = (name: string) => {
  const words = name.toLowerCase().replaceAll('_', ' ')
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`
}

const downloads = (sent: SentFilter) => {
  const address = (format: string) =>
    `/admin/audit/export?${new URLSearchParams({ ...sent, format })}`
  return html`<p class="hint">Take all of these events away: <a href="${address('csv')}">CSV for spreadsheets</a>, <a href="${address('json')}">JSON lines for programs</a>.</p>`
}

const eventTable = ({ events, now = new Date() }: AuditPageProps) =>
  html`<table class="card table">
<caption class="visually-hidden">Events</caption>
<thead>
<tr>
<th scope="col">When</th>
<th scope="col">What happened</th>
<th scope="col">Severity</th>
</tr>
</thead>
<tbody>${events.map((event) => eventRow(event, now))}</tbody>
</table>`

const tones = { info: 'plain', warning: 'warn', critical: 'bad' } as const

const eventRow = (event: FoundAuditEvent, now: Date) =>
  html`<tr>
<td data-label="When">${renderTime(event.at, now)}</td>
<td data-label="What happened">
<details>
<summary>${sentenceOf(event)}</summary>
<dl>${factsOf(event)}</dl>
</details>
</td>
<td data-label="Severity">${badge(inWords(event.severity), tones[event.severity])} ${!event.success && badge('Failed', 'bad')}</td>
</tr>`

const factsOf = (event: FoundAuditEvent) =>
  Object.entries({
    Type: event.type,
    'Account ID': event.actorUserId,
    'Client ID': event.clientId,
    [inWords(event.resourceType ?? 'resource')]: event.resourceId,
    'IP address': event.ip,
    Browser: event.userAgent,
    Trace: event.traceId,
    ...Object.fromEntries(
      Object.entries(event.details).map(([name, value]) => [inWords(name), String(value)]),
    ),
  }).flatMap(([term, value]) => (value ? [fact(term, value)] : []))

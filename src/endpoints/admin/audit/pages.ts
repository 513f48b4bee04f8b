import { html } from 'hono/html'
import { auditEventTypes, auditSeverities } from '#/domain/audit/audit.ts'
import type { FoundAuditEvent } from '#/domain/audit/find-events.ts'
import {
  caution,
  choice,
  disclosure,
  emptyState,
  type FieldProps,
  pageHeading,
  problem,
  selectField,
  textField,
} from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { eventTable, inWords } from '../event-table.ts'
import type { AdminPageProps } from '../page.ts'
import type { FilterName, SentFilter } from './filter.ts'

export interface AuditPageProps extends AdminPageProps {
  readonly events: readonly FoundAuditEvent[]
  readonly sent: SentFilter
  /** Whether nothing is written any more. */
  readonly isOff: boolean
  /** Address of the next page, if there is one. */
  readonly next?: string
  readonly problem?: string
}

/** The audit log, newest first. */
export function renderAuditPage(props: AuditPageProps): Html {
  const { user, csrfToken, events, sent, next } = props
  const filtered = Object.keys(sent).length > 0
  const nothing = emptyState('key', {
    title: 'No events found',
    text: filtered ? 'No events match these filters.' : 'No events have been recorded yet.',
    action: filtered ? html`<p><a class="button" href="/admin/audit">Clear filters</a></p>` : '',
  })
  return renderPage(
    { title: 'Audit log', user, csrfToken, nav: 'admin-audit', wide: true },
    html`${pageHeading('Audit log', 'Sign-ins, changes and refused requests, newest first. All times are in UTC.')}
${props.isOff && caution('Audit logging is off (ENABLE_AUDIT_LOGGING): nothing new is recorded.')}
${problem(props.problem, 'filter-problem')}
${disclosure({ title: filtered ? 'Edit filters' : 'Filter', open: filtered }, filterForm(sent))}
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
  const time = 'Such as 2026-11-24T18:30'
  return html`<form class="stack filter" method="get" action="/admin/audit">
<div class="columns">
${select('type', 'Event type', auditEventTypes)}
${select('severity', 'Severity', auditSeverities)}
${text('actor', 'Actor', 'Username or user ID')}
${text('client', 'Client ID')}
${text('resource', 'Resource ID')}
${text('ip', 'IP address')}
${text('from', 'From', time)}
${text('to', 'To', time)}
</div>
${choice({ name: 'failures', value: 'only', label: 'Failures only', checked: sent.failures === 'only' })}
<p><button class="button button-primary">Apply</button></p>
</form>`
}

const downloads = (sent: SentFilter) => {
  const address = (format: string) =>
    `/admin/audit/export?${new URLSearchParams({ ...sent, format })}`
  return html`<p class="hint">Export: <a href="${address('csv')}">CSV</a>, <a href="${address('json')}">JSON Lines</a></p>`
}

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
${props.isOff && caution('Audit logging is off (ENABLE_AUDIT_LOGGING): nothing new is recorded.')}
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
  return html`<form class="stack filter" method="get" action="/admin/audit">
<div class="columns">
${select('type', 'What happened', auditEventTypes)}
${select('severity', 'Severity', auditSeverities)}
${text('actor', 'Who did it', 'A username or the ID of an account')}
${text('client', 'Client ID')}
${text('resource', 'ID of what it was done to')}
${text('ip', 'IP address')}
${text('from', 'From', time)}
${text('to', 'Until', time)}
</div>
${choice({ name: 'failures', value: 'only', label: 'Only what failed', checked: sent.failures === 'only' })}
<p><button class="button button-primary">Show</button></p>
</form>`
}

const downloads = (sent: SentFilter) => {
  const address = (format: string) =>
    `/admin/audit/export?${new URLSearchParams({ ...sent, format })}`
  return html`<p class="hint">Take all of these events away: <a href="${address('csv')}">CSV for spreadsheets</a>, <a href="${address('json')}">JSON lines for programs</a>.</p>`
}

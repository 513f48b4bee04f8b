import { html } from 'hono/html'
import type { FoundAuditEvent } from '#/domain/audit/find-events.ts'
import { emptyState, pageHeading } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderPage } from '#/web/pages/layout.ts'
import { eventTable } from '../event-table.ts'
import type { AdminPageProps } from '../page.ts'

export interface Count {
  readonly what: string
  /** Undefined when it cannot be had right now; 0 would be a lie. */
  readonly n: number | undefined
  readonly href?: string
}

export interface OverviewPageProps extends AdminPageProps {
  readonly counts: readonly Count[]
  /** Of the oldest count. */
  readonly ageSeconds: number
  readonly events: readonly FoundAuditEvent[]
}

/** Counts and recent activity. */
export function renderOverviewPage(props: OverviewPageProps): Html {
  const { user, csrfToken, counts, events, ageSeconds } = props
  const nothing = emptyState('key', {
    title: 'No activity yet',
    text: 'Sign-ins, changes and refused requests appear here.',
  })
  const counted =
    ageSeconds < 1
      ? 'Updated just now.'
      : `Updated within the last ${Math.ceil(ageSeconds)} seconds.`
  return renderPage(
    { title: 'Overview', user, csrfToken, nav: 'admin', wide: true },
    html`${pageHeading('Overview', `Users, sessions, clients and tokens. ${counted}`)}
<dl class="tiles">${counts.map(tile)}</dl>
<section class="holdings" aria-labelledby="events">
<h2 id="events">Recent activity</h2>
${events.length > 0 ? eventTable(props) : nothing}
<p class="paging"><a class="button" href="/admin/audit">View audit log</a></p>
</section>`,
  )
}

const tile = ({ what, n, href }: Count) => {
  const value = n === undefined ? 'Not available' : n.toLocaleString('en')
  return html`<div class="card tile"><dt>${href ? html`<a href="${href}">${what}</a>` : what}</dt><dd class="${n === undefined ? 'tile-missing' : 'tile-value'}">${value}</dd></div>`
}

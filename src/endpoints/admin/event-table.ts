import { html } from 'hono/html'
import type { FoundAuditEvent } from '#/domain/audit/find-events.ts'
import { badge, fact } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderTime } from '#/web/pages/times.ts'
import { sentenceOf } from './audit/sentences.ts'

/** Events in plain words, each with its details behind it. */
export const eventTable = ({
  events,
  now = new Date(),
}: {
  readonly events: readonly FoundAuditEvent[]
  readonly now?: Date
}): Html =>
  html`<table class="card table">
<caption class="visually-hidden">Events</caption>
<thead>
<tr>
<th scope="col">Time</th>
<th scope="col">Event</th>
<th scope="col">Severity</th>
</tr>
</thead>
<tbody>${events.map((event) => eventRow(event, now))}</tbody>
</table>`

const tones = { info: 'plain', warning: 'warn', critical: 'bad' } as const

const eventRow = (event: FoundAuditEvent, now: Date) =>
  html`<tr>
<td data-label="Time">${renderTime(event.at, now)}</td>
<td data-label="Event">
<details class="event">
<summary class="event-opener">${sentenceOf(event)}</summary>
<dl>${factsOf(event)}</dl>
</details>
</td>
<td data-label="Severity"><span>${badge(inWords(event.severity), tones[event.severity])} ${!event.success && badge('Failed', 'bad')}</span></td>
</tr>`

const factsOf = (event: FoundAuditEvent) =>
  Object.entries({
    Type: event.type,
    'User ID': event.actorUserId,
    'Client ID': event.clientId,
    [inWords(event.resourceType ?? 'resource')]: event.resourceId,
    'IP address': event.ip,
    Browser: event.userAgent,
    Trace: event.traceId,
    ...Object.fromEntries(
      Object.entries(event.details).map(([name, value]) => [inWords(name), String(value)]),
    ),
  }).flatMap(([term, value]) => (value ? [fact(term, value)] : []))

/** A name of ours as people would write it. */
export const inWords = (name: string): string => {
  const words = name.toLowerCase().replaceAll('_', ' ')
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`
}

/** The few drawings that pages share. They decorate: the words beside them carry the meaning. */
import { html } from 'hono/html'
import type { Html } from './html.ts'

/** The mark of the house: a gate with a keyhole. Takes its colours from the stylesheet. */
export const gateMark = (): Html =>
  html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false"><rect width="32" height="32" rx="8"/><path d="M8.5 24.5V15a7.5 7.5 0 0 1 15 0v9.5" stroke-width="2.8"/><path d="M16 17.4v5.4" stroke-width="2.4"/><circle cx="16" cy="15.6" r="2.5"/></svg>`

export const icons = {
  check: () => icon(html`<path d="m5 12.5 4.5 4.5L19 7.5"/>`),
  alert: () =>
    icon(html`<circle cx="12" cy="12" r="9"/><path d="M12 7.5v5.5"/><path d="M12 16.4v.1"/>`),
  computer: () =>
    icon(html`<rect x="4" y="5" width="16" height="11" rx="1.8"/><path d="M2.5 19.5h19"/>`),
  phone: () =>
    icon(html`<rect x="7" y="2.8" width="10" height="18.4" rx="2.2"/><path d="M11 18h2"/>`),
  terminal: () =>
    icon(
      html`<rect x="3" y="4.5" width="18" height="15" rx="2"/><path d="m7 9.5 3 2.7-3 2.8"/><path d="M12.5 15H17"/>`,
    ),
  key: () =>
    icon(
      html`<circle cx="8" cy="15.5" r="4"/><path d="m11 12.6 8.5-8.4"/><path d="m15.8 7.8 3 3"/>`,
    ),
  people: () =>
    icon(
      html`<circle cx="9" cy="8.5" r="3.5"/><path d="M2.8 19.5c.5-3.6 3-5.5 6.2-5.5s5.7 1.9 6.2 5.5"/><path d="M15.5 5.3a3.5 3.5 0 0 1 0 6.4"/><path d="M18 14.6c1.8.8 2.9 2.4 3.2 4.9"/>`,
    ),
  apps: () =>
    icon(
      html`<rect x="4" y="4" width="6.5" height="6.5" rx="1.6"/><rect x="13.5" y="4" width="6.5" height="6.5" rx="1.6"/><rect x="4" y="13.5" width="6.5" height="6.5" rx="1.6"/><path d="M16.75 13.5v6.5M13.5 16.75h6.5"/>`,
    ),
} as const

export type IconName = keyof typeof icons

const icon = (shape: Html): Html =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${shape}</svg>`

/** Moments as people read them: the absolute time in UTC, and how far away that is. */
import { html } from 'hono/html'
import type { Html } from './html.ts'

/** A moment twice: relative for a glance, absolute for certainty, and exact for machines. */
export const renderTime = (at: Date, now: Date): Html =>
  html`<time datetime="${at.toISOString()}"><span class="ago">${formatDistance(at, now)}</span> <span class="moment">${formatMoment(at)}</span></time>`

/** "24 Nov 2026, 02:57 UTC" */
export const formatMoment = (at: Date): string => `${moments.format(at)} UTC`

/** "24 Nov 2026" */
export const formatDay = (at: Date): string => days.format(at)

/** "3 minutes ago", "in 12 hours", "just now". */
export function formatDistance(at: Date, now: Date): string {
  const seconds = Math.round((at.getTime() - now.getTime()) / 1000)
  const unit = units.find(([, size]) => Math.abs(seconds) >= size)
  return unit ? distances.format(Math.trunc(seconds / unit[1]), unit[0]) : 'just now'
}

/** "1 hour", "90 days", "90 minutes": in the largest unit that says it exactly. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000))
  const [unit, size] = units.find(
    ([name, length]) => lengths.has(name) && seconds >= length && seconds % length === 0,
  ) ?? ['second', 1]
  return new Intl.NumberFormat('en', { style: 'unit', unit, unitDisplay: 'long' }).format(
    seconds / size,
  )
}

/** Months and years are not all of one length. */
const lengths: ReadonlySet<string> = new Set(['day', 'hour', 'minute'])

const days = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', dateStyle: 'medium' })

const moments = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'UTC',
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
})

const distances = new Intl.RelativeTimeFormat('en', { numeric: 'always' })

const units: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
]

/** What the demo shows: a line of progress, and in the end its own count beside the server's. */
import { parseSamples, type Samples } from '../../test/support/prometheus.ts'
import type { World } from './world.ts'

export async function scrape({ server }: Pick<World, 'server'>): Promise<Samples> {
  const response = await fetch(server.metricsUrl, { signal: AbortSignal.timeout(5000) })
  return parseSamples(await response.text())
}

export interface Difference {
  readonly series: string
  readonly done: number
  readonly scraped: number | undefined
}

/** Where the server's word differs from what the demo did. */
export const differences = ({ deeds }: World, samples: Samples): Difference[] =>
  [...deeds]
    .map(([series, done]) => ({ series, done, scraped: samples.get(series) }))
    .filter(({ done, scraped }) => scraped !== done)

/** Tells how far it is: in place on a terminal, now and then a line elsewhere. */
export function startProgress(world: World): () => void {
  const started = performance.now()
  const { isTTY } = process.stdout
  const tell = () => {
    const seconds = Math.floor((performance.now() - started) / 1000)
    const line = progressLine(world, seconds)
    process.stdout.write(isTTY ? `\r\x1b[2K  ${line}` : `  ${line}\n`)
  }
  const timer = setInterval(tell, isTTY ? 500 : 5000)
  return () => {
    clearInterval(timer)
    tell()
    if (isTTY) process.stdout.write('\n')
  }
}

function progressLine({ deeds, stats }: World, seconds: number): string {
  const sum = (name: string, label = '') => total(deeds, name, label)
  const time = `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
  return [
    time,
    `${stats.requests} requests`,
    `sign-ins ${sum('auth_login_total', 'result="success"')} good, ${sum('authgate_login_failures_total')} refused`,
    `sessions ${sum('sessions_active')} of ${sum('sessions_created_total')}`,
    `tokens ${sum('oauth_tokens_issued_total')}`,
    `429s ${sum('rate_limit_exceeded_total')}`,
  ].join('   ')
}

/** One row for each metric: the sum over its series on both sides, and how it breaks down. */
export function printTable({ deeds }: World, samples: Samples): void {
  const names = [...new Set([...deeds.keys()].map((series) => nameOf(series)))].sort()
  const rows = names.map((name) => {
    const scraped = new Map([...deeds.keys()].map((key) => [key, samples.get(key) ?? Number.NaN]))
    return [name, String(total(scraped, name)), String(total(deeds, name)), breakdown(deeds, name)]
  })
  const [first = 0, second = 0, third = 0] = [0, 1, 2].map((column) =>
    Math.max(8, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = ([a = '', b = '', c = '', d = '']: readonly string[]) =>
    `  ${a.padEnd(first)}  ${b.padStart(second)}  ${c.padStart(third)}  ${d}`.trimEnd()
  process.stdout.write(
    `\n${[['Metric', 'scraped', 'done', 'of which'], ...rows].map(line).join('\n')}\n\n`,
  )
}

const mostParts = 5

function breakdown(deeds: ReadonlyMap<string, number>, name: string): string {
  const parts = [...deeds]
    .filter(([series, n]) => nameOf(series) === name && series !== name && n !== 0)
    .sort(([, a], [, b]) => b - a)
    .map(([series, n]) => `${valuesOf(series)} ${n}`)
  const rest = parts.length - mostParts
  return `${parts.slice(0, mostParts).join(', ')}${rest > 0 ? `, ${rest} more` : ''}`
}

const nameOf = (series: string) => series.replace(/\{.*/, '')

const valuesOf = (series: string) =>
  [...series.matchAll(/="([^"]*)"/g)].map(([, value]) => value).join('/')

const total = (samples: ReadonlyMap<string, number>, name: string, label = '') =>
  [...samples].reduce(
    (sum, [series, n]) => (nameOf(series) === name && series.includes(label) ? sum + n : sum),
    0,
  )

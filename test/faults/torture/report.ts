/** The figures of a run, as text and as the block that docs/RELIABILITY.md keeps. */
import { cpus, totalmem } from 'node:os'
import { lineOf, total, wrongsOf } from './books.ts'
import type { Outcome, TortureOptions } from './torture.ts'

export const failed = ({ books }: Outcome): boolean => books.findings.length > 0

const thousands = (n: number) => n.toLocaleString('en')

const listed = (tally: ReadonlyMap<string | number, number>) =>
  [...tally]
    .sort(([, a], [, b]) => b - a)
    .map(([name, times]) => `${name} ${thousands(times)}`)
    .join(', ')

export function figures(outcome: Outcome, { seed, replicas, pooler }: TortureOptions): string {
  const { books, balances, compared, gauges, logLines, notPlayed, seconds } = outcome
  const pairs: readonly (readonly [string, string])[] = [
    ['date', new Date().toISOString().slice(0, 10)],
    ['machine', `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB`],
    [
      'run',
      `seed ${seed}, ${Math.round(seconds)} s, ${replicas} replicas${pooler ? ', PgBouncer' : ''}`,
    ],
    ['events', `${thousands(books.events)} answers: ${listed(books.deeds)}`],
    ['faults', `${thousands(total(books.faults))}: ${listed(books.faults)}`],
    ['not played', notPlayed.join(', ') || 'none'],
    ['answers by status', listed(books.statuses)],
    ['slowest answer', `${Math.round(books.slowest.ms)} ms, ${books.slowest.what}`],
    [
      'created = open + ended',
      balances.map(({ what, created }) => `${what} ${thousands(created)}`).join(', '),
    ],
    ['gauges compared', String(gauges)],
    [
      'counters compared',
      `${compared.length}; ${thousands(
        compared.reduce((sum, { rows, counted }) => sum + Math.max(rows - counted, 0), 0),
      )} of ${thousands(compared.reduce((sum, { rows }) => sum + rows, 0))} rows uncounted (killed processes, commits whose answer was lost)`,
    ],
    ['log lines searched for secrets', thousands(logLines)],
    ...[...wrongsOf(books)].map(([wrong, times]) => [wrong, `**${thousands(times)}**`] as const),
  ]
  return [
    '| figure | value |',
    '| --- | --- |',
    ...pairs.map(([name, value]) => `| ${name} | ${value} |`),
  ].join('\n')
}

/** The first few of each kind, with what led to them. */
export function findingsOf({ books }: Outcome): string {
  const told = new Map<string, number>()
  const lines: string[] = []
  for (const finding of books.findings) {
    const before = told.get(finding.wrong) ?? 0
    told.set(finding.wrong, before + 1)
    if (before < 8) lines.push(lineOf(finding))
  }
  return lines.join('\n')
}

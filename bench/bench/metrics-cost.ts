/** What metrics cost: the same requests to two servers that differ in METRICS_ENABLED alone, turn and turn about. */
import { median, printTable, ratio, say, whole } from './table.ts'
import { type Load, load, type Subject, startSubject } from './targets.ts'

const mix = ['discovery', 'userinfo', 'devices', 'refresh'] as const
type Endpoint = (typeof mix)[number]

interface Round {
  readonly on: Load
  readonly off: Load
}

export async function benchMetricsCost(rounds: number, seconds: number): Promise<void> {
  say(
    `What metrics cost, on the embedded database: requests per second, median of ${rounds} rounds of ${seconds} s each way`,
  )
  const on = await startSubject({ METRICS_ENABLED: 'true' })
  const off = await startSubject({ METRICS_ENABLED: 'false' }).catch(async (error: unknown) => {
    await on.server.stop()
    throw error
  })
  try {
    await warmUp([on, off], seconds)
    const results = new Map(mix.map((endpoint) => [endpoint, [] as Round[]]))
    for (let round = 0; round < rounds; round += 1)
      for (const [endpoint, taken] of results)
        taken.push(await takeTurns(endpoint, { on, off, onFirst: round % 2 === 0, seconds }))
    print(results, on)
  } finally {
    await Promise.all([on.server.stop(), off.server.stop()])
  }
}

async function warmUp(subjects: readonly Subject[], seconds: number) {
  for (const subject of subjects)
    for (const endpoint of mix) await load(subject, subject[endpoint], seconds)
}

async function takeTurns(
  endpoint: Endpoint,
  { on, off, onFirst, seconds }: { on: Subject; off: Subject; onFirst: boolean; seconds: number },
): Promise<Round> {
  const measure = (subject: Subject) => load(subject, subject[endpoint], seconds)
  if (onFirst) return { on: await measure(on), off: await measure(off) }
  const first = await measure(off)
  return { on: await measure(on), off: first }
}

function print(results: ReadonlyMap<Endpoint, readonly Round[]>, subject: Subject) {
  const row = (name: string, rounds: readonly Round[]) => {
    const ratios = rounds.map(({ on, off }) => on.perSecond / off.perSecond)
    return [
      name,
      whole(median(rounds.map(({ on }) => on.perSecond))),
      whole(median(rounds.map(({ off }) => off.perSecond))),
      ratio(median(ratios)),
      `${ratio(Math.min(...ratios))} to ${ratio(Math.max(...ratios))}`,
      ratio(median(rounds.map(({ on, off }) => on.cpuMicroseconds / off.cpuMicroseconds))),
    ]
  }
  const all = [...results.values()]
  const together = (all[0] ?? []).map((_, n) => {
    const inRound = all.map((rounds) => rounds[n]).filter((round) => round !== undefined)
    return { on: mixOf(inRound.map(({ on }) => on)), off: mixOf(inRound.map(({ off }) => off)) }
  })
  printTable(
    ['', 'on', 'off', 'on/off', 'over the rounds', 'processor time on/off'],
    [
      ...[...results].map(([endpoint, rounds]) => row(subject[endpoint].name, rounds)),
      row('the mix, one of each', together),
    ],
  )
}

/** As if as many requests of each kind had been sent. */
function mixOf(loads: readonly Load[]): Load {
  const mean = (numbers: readonly number[]) =>
    numbers.reduce((sum, n) => sum + n, 0) / numbers.length
  return {
    perSecond: 1 / mean(loads.map(({ perSecond }) => 1 / perSecond)),
    cpuMicroseconds: mean(loads.map(({ cpuMicroseconds }) => cpuMicroseconds)),
  }
}

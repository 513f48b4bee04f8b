/** What a scrape costs: on a fresh server, and over a million accounts. */

import { populationGroups } from '#/protocol/vocabulary.ts'
import { parseSamples, type Samples } from '../../test/support/prometheus.ts'
import { type ServerProcess, startServer } from '../server-process.ts'
import { type Size, seed, withDatabase } from './seed.ts'
import { median, milliseconds, printTable, say, whole } from './table.ts'

const head = ['', 'median', 'slowest', 'bytes', 'gzipped', 'series']

export async function benchFreshScrape(scrapes: number): Promise<void> {
  say(`A scrape of a fresh server, ${scrapes} times`)
  const server = await startServer({ METRICS_POPULATION_TTL: '0s' })
  try {
    const taken = await scrapeRepeatedly(server, scrapes)
    printTable(head, [rowOf('embedded database, counted afresh', taken)])
  } finally {
    await server.stop()
  }
}

/** `url` names a Postgres on which a database may be made; it is dropped again. */
export async function benchLargeScrape(url: string, size: Size, scrapes: number): Promise<void> {
  say(`A scrape over ${whole(size.users)} users and ${whole(size.sessions)} live sessions`)
  await withDatabase(url, async (database) => {
    const settings = {
      DATABASE_URL: database,
      SESSION_SECRET: 'a secret of the bench and of no use anywhere else',
    }
    // The first start makes the tables.
    await (await startServer(settings)).stop()
    const seconds = await seed(database, size)
    say(`  seeded and analysed in ${Math.round(seconds)} s`)
    const rows = []
    for (const [ttl, name] of [
      ['0s', 'counted afresh'],
      ['15s', 'remembered for 15 s'],
    ] as const) {
      const server = await startServer({ ...settings, METRICS_POPULATION_TTL: ttl })
      try {
        const taken = await scrapeRepeatedly(server, scrapes)
        rows.push(rowOf(name, taken))
        if (ttl === '0s') printCounts(taken.samples)
        requireExact(taken.samples, size)
      } finally {
        await server.stop()
      }
    }
    printTable(head, rows)
  })
}

interface Taken {
  readonly times: readonly number[]
  readonly bytes: number
  readonly gzipped: number
  readonly samples: Samples
}

async function scrapeRepeatedly(server: ServerProcess, scrapes: number): Promise<Taken> {
  await scrape(server)
  const times: number[] = []
  let text = ''
  for (let n = 0; n < scrapes; n += 1) {
    const start = performance.now()
    text = await scrape(server)
    times.push(performance.now() - start)
  }
  const zipped = await fetch(server.metricsUrl, { headers: { 'accept-encoding': 'gzip' } })
  const gzipped = Number(zipped.headers.get('content-length') ?? Number.NaN)
  await zipped.arrayBuffer()
  return { times, bytes: Buffer.byteLength(text), gzipped, samples: parseSamples(text) }
}

async function scrape({ metricsUrl }: ServerProcess): Promise<string> {
  const response = await fetch(metricsUrl, {
    headers: { 'accept-encoding': 'identity' },
    signal: AbortSignal.timeout(10_000),
  })
  if (response.status !== 200) throw new Error(`a scrape was answered ${response.status}`)
  return response.text()
}

const rowOf = (name: string, { times, bytes, gzipped, samples }: Taken) => [
  name,
  milliseconds(median(times)),
  milliseconds(Math.max(...times)),
  whole(bytes),
  whole(gzipped),
  whole(samples.size),
]

function printCounts(samples: Samples) {
  const name = 'authgate_population_query_duration_seconds'
  printTable(
    ['Each COUNT', 'mean'],
    populationGroups.map((group) => {
      const of = (part: string) => samples.get(`${name}_${part}{group="${group}"}`) ?? Number.NaN
      return [group, milliseconds((of('sum') / of('count')) * 1000)]
    }),
  )
}

/** A quick answer is worth nothing unless it is the right one. */
function requireExact(samples: Samples, { users, sessions }: Size) {
  const said = [samples.get('authgate_users_registered'), samples.get('sessions_active')]
  // The first start has made the administrator.
  if (said[0] !== users + 1 || said[1] !== sessions)
    throw new Error(`the gauges say ${said} for ${users + 1} users and ${sessions} sessions`)
}

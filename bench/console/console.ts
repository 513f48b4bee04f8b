/** The operators' console over a large database: how long its pages take, what they read, and the whole audit log as CSV. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { populationGroups } from '#/protocol/vocabulary.ts'
import { parseSamples } from '../../test/support/prometheus.ts'
import { withDatabase } from '../bench/seed.ts'
import { median, milliseconds, printTable, say, whole } from '../bench/table.ts'
import { openBrowser } from '../browser.ts'
import { type ServerProcess, startServer } from '../server-process.ts'
import { pagesOf } from './pages.ts'
import { readScans, scannedBetween } from './scans.ts'
import { type ConsoleSize, seedConsole } from './seed.ts'

const aimMs = 100

/** `url` names a Postgres on which a database may be made; it is dropped again. */
export async function benchConsole(url: string, size: ConsoleSize, rounds: number): Promise<void> {
  const { users, clients, tokens, auditEvents } = size
  say(
    `The console over ${whole(users)} users, ${whole(clients)} clients, ${whole(tokens)} tokens and ${whole(auditEvents)} audit events`,
  )
  await withDatabase(url, async (database) => {
    const server = await startServer({
      DATABASE_URL: database,
      SESSION_SECRET: 'a secret of the bench and of no use anywhere else',
      ENABLE_RATE_LIMIT: 'false',
      // One connection does all, so that what it reports is whole.
      DB_MAX_OPEN_CONNS: '1',
      // Counted once, so that no page pays for counts that ran out while it was read.
      METRICS_POPULATION_TTL: '1h',
    })
    const sql = postgres(database, { max: 1, onnotice: () => {} })
    try {
      say(`  seeded and analysed in ${whole(await seedConsole(database, size))} s`)
      const cookie = await signIn(server)
      await benchCounts(server)
      // The connection that counts reports what it has read when it has been idle for ten seconds.
      await sleep(11_000)
      await benchPages({ server, cookie, sql, rounds, size })
      await benchExport(server, cookie, auditEvents)
    } finally {
      await sql.end()
      await server.stop()
    }
  })
}

async function signIn(server: ServerProcess): Promise<Record<string, string>> {
  const cookies = new Map<string, string>()
  const browser = openBrowser({ origin: server.origin, address: '127.0.0.1', cookies })
  const { username, password } = server.credentials()
  const answer = await browser.submit('/login', '/login', { username, password, remember_me: '1' })
  if (answer.status !== 303) throw new Error(`the bench could not sign in: ${answer.status}`)
  return {
    cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
    'user-agent': browser.userAgent,
    accept: 'text/html',
  }
}

interface Console {
  readonly server: ServerProcess
  readonly cookie: Readonly<Record<string, string>>
  readonly sql: postgres.Sql
  readonly rounds: number
  readonly size: ConsoleSize
}

async function benchPages({ server, cookie, sql, rounds, size }: Console): Promise<void> {
  const rows = []
  const pages = await pagesOf(sql, size)
  // A connection reports what it has read when it falls idle, but not twice in a second. The page that makes it do so
  // reads no large table: what is left of it would be reported with the next.
  const reported = async () => {
    await sleep(1100)
    await open(`${server.origin}/account/devices`, cookie)
    return readScans(sql)
  }
  let before = await reported()
  for (const [name, path] of pages) {
    const times: number[] = []
    // The first request is timed as well: an operator who comes once waits for it.
    for (let n = 0; n < rounds; n += 1) times.push(await open(`${server.origin}${path}`, cookie))
    const after = await reported()
    const scanned = scannedBetween(before, after)
    before = after
    rows.push([
      name,
      milliseconds(median(times)),
      milliseconds(Math.max(...times)),
      median(times) < aimMs ? 'yes' : 'NO',
      scanned.join(', ') || 'none',
    ])
  }
  printTable(['Page', 'median', 'slowest', `under ${aimMs} ms`, 'whole large tables read'], rows)
}

async function open(url: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const start = performance.now()
  const response = await fetch(url, { headers, redirect: 'manual' })
  await response.arrayBuffer()
  if (response.status !== 200) throw new Error(`${url} was answered ${response.status}`)
  return performance.now() - start
}

/** Counting may take a fiftieth of the time: a value that took long is kept for fifty times as long. */
async function benchCounts({ metricsUrl }: ServerProcess): Promise<void> {
  const scrape = async () => (await fetch(metricsUrl)).text()
  // The first one counts what no page has asked for, and the next one tells how long that took.
  await scrape()
  const samples = parseSamples(await scrape())
  const name = 'authgate_population_query_duration_seconds'
  printTable(
    ['Each COUNT', 'times', 'mean', 'kept for, at least'],
    populationGroups.map((group) => {
      const of = (part: string) => samples.get(`${name}_${part}{group="${group}"}`) ?? Number.NaN
      const seconds = of('sum') / of('count')
      return [
        group,
        whole(of('count')),
        milliseconds(seconds * 1000),
        `${Math.max(15, seconds * 50).toFixed(0)} s`,
      ]
    }),
  )
}

/** Reads the file as it comes. Memory is constant when the last fifth of the rows needs no more than the first. */
async function benchExport(
  { origin, pid }: ServerProcess,
  headers: Readonly<Record<string, string>>,
  atLeast: number,
): Promise<void> {
  const before = residentMiB(pid)
  const peaks = [0, 0, 0, 0, 0]
  const start = performance.now()
  const response = await fetch(`${origin}/admin/audit/export?format=csv`, { headers })
  let [lines, bytes] = [0, 0]
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    for (const byte of chunk) if (byte === 10) lines += 1
    const fifth = Math.min(4, Math.floor((5 * lines) / atLeast))
    peaks[fifth] = Math.max(peaks[fifth] ?? 0, residentMiB(pid))
  }
  const seconds = (performance.now() - start) / 1000
  if (response.status !== 200 || lines < atLeast)
    throw new Error(`the export was answered ${response.status}, with ${lines} lines`)
  const mebibytes = (n: number) => `${whole(n)} MiB`
  printTable(
    ['All audit events as CSV', 'rows', 'rows/s', 'size', 'memory before', 'at most, by fifths'],
    [
      [
        `${seconds.toFixed(1)} s`,
        whole(lines - 1),
        whole(lines / seconds),
        mebibytes(bytes / 2 ** 20),
        mebibytes(before),
        peaks.map(mebibytes).join(', '),
      ],
    ],
  )
}

/** proc(5); NaN where the system does not tell. */
function residentMiB(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN
  const kibibytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kibibytes) / 1024
}

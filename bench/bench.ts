/**
 * Measures what observing costs, as ratios within one run: metrics on against off, a page that checks the session
 * against one that does not, a scrape over a million accounts against one over none.
 *
 *   npm run bench -- [--quick]        BENCH_DATABASE_URL=postgres://… adds the large database
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { benchMetricsCost } from './bench/metrics-cost.ts'
import { benchFreshScrape, benchLargeScrape } from './bench/scrape-cost.ts'
import { dropDatabases } from './bench/seed.ts'
import { benchSessionCheck } from './bench/session-check.ts'
import { say } from './bench/table.ts'
import { stopServers } from './server-process.ts'

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const effort = values.quick
  ? { rounds: 5, seconds: 1, scrapes: 10, size: { users: 50_000, sessions: 10_000 } }
  : { rounds: 11, seconds: 2, scrapes: 30, size: { users: 1_000_000, sessions: 200_000 } }

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void stopServers()
      .then(dropDatabases)
      .finally(() => process.exit(130))
  })

say(`
Node.js ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}; load and server on one machine.
Compare numbers of one run only.
`)
await benchMetricsCost(effort.rounds, effort.seconds)
await benchSessionCheck(effort.rounds, effort.seconds)
await benchFreshScrape(effort.scrapes)

const database = process.env['BENCH_DATABASE_URL']
if (database) await benchLargeScrape(database, effort.size, effort.scrapes)
else
  say(
    'A scrape over a million accounts was not measured: set BENCH_DATABASE_URL to a Postgres where a database may be created.',
  )

/**
 * Measures what observing costs, as ratios within one run: metrics on against off, a page that checks the session
 * against one that does not, a scrape over a million accounts against one over none. And beside oidc-provider.
 *
 *   npm run bench -- [--quick]        BENCH_DATABASE_URL=postgres://… adds the large database
 *   npm run bench -- peers [--seconds 10] [--only userinfo] [--profiles directory]
 *                                     in a Postgres of its own, or in that of BENCH_DATABASE_URL
 *   npm run bench -- console [--users 1000000] [--clients 10000] [--tokens 2000000] [--audit 5000000] [--rounds 11]
 *                                     needs BENCH_DATABASE_URL
 *   npm run bench -- profile file.cpuprofile…
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { benchMetricsCost } from './bench/metrics-cost.ts'
import { printProfile } from './bench/profile.ts'
import { benchFreshScrape, benchLargeScrape } from './bench/scrape-cost.ts'
import { dropDatabases } from './bench/seed.ts'
import { benchSessionCheck } from './bench/session-check.ts'
import { say } from './bench/table.ts'
import { benchConsole } from './console/console.ts'
import { benchPeers } from './peers/peers.ts'
import { stopServers } from './server-process.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    profiles: { type: 'string' },
    users: { type: 'string', default: '1000000' },
    clients: { type: 'string', default: '10000' },
    tokens: { type: 'string', default: '2000000' },
    audit: { type: 'string', default: '5000000' },
    rounds: { type: 'string', default: '11' },
  },
})
const database = process.env['BENCH_DATABASE_URL']

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
const [part, ...files] = positionals
if (part === 'profile') files.forEach(printProfile)
else if (part === 'peers') {
  const { only, profiles } = values
  const seconds = Number(values.seconds)
  if (!(seconds > 0)) throw new Error('--seconds takes a number above 0')
  await benchPeers({ seconds, only, profiles, database })
} else if (part === 'console') {
  if (!database)
    throw new Error('set BENCH_DATABASE_URL to a Postgres where a database may be made')
  const { users, clients, tokens, audit: auditEvents } = values
  const counts = { users, clients, tokens, auditEvents, rounds: values.rounds }
  const { rounds, ...size } = wholeNumbers(counts)
  await benchConsole(database, size, rounds)
} else await benchObserving()

function wholeNumbers<K extends string>(given: Readonly<Record<K, string>>): Record<K, number> {
  for (const [name, value] of Object.entries<string>(given))
    if (!/^[1-9]\d{0,8}$/.test(value)) throw new Error(`${name} takes a whole number above 0`)
  return Object.fromEntries(
    Object.entries<string>(given).map(([name, value]) => [name, Number(value)]),
  ) as Record<K, number>
}

async function benchObserving() {
  const effort = values.quick
    ? { rounds: 5, seconds: 1, scrapes: 10, size: { users: 50_000, sessions: 10_000 } }
    : { rounds: 11, seconds: 2, scrapes: 30, size: { users: 1_000_000, sessions: 200_000 } }
  await benchMetricsCost(effort.rounds, effort.seconds)
  await benchSessionCheck(effort.rounds, effort.seconds)
  await benchFreshScrape(effort.scrapes)
  if (database) await benchLargeScrape(database, effort.size, effort.scrapes)
  else
    say(
      'A scrape over a million accounts was not measured: set BENCH_DATABASE_URL to a Postgres where a database may be created.',
    )
}

/** The books are checked against the rows, by SQL of their own: nothing here asks the server what it thinks. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Samples, seriesKey } from '../../support/prometheus.ts'
import { type Books, find, total } from './books.ts'
import type { Life } from './collector.ts'
import type { Replica } from './replicas.ts'
import { boundMs } from './transport.ts'
import type { World } from './world.ts'

export interface Balance {
  readonly what: string
  readonly created: number
  readonly open: number
  readonly ended: number
}

/** `created` is told by the audit log where it knows, open and ended by the rows. */
const ledgers: Readonly<Record<string, string>> = {
  sessions: `select (select count(*) from audit_events where type in ('AUTHENTICATION_SUCCESS', 'USER_PASSWORD_CHANGED')) as created,
    count(*) filter (where ended_at is null) as open, count(*) filter (where ended_at is not null) as ended from sessions`,
  // Codes that were taken back before their use are deleted.
  'codes redeemed': `select (select count(*) from audit_events where type = 'AUTHORIZATION_CODE_EXCHANGED') as created,
    0 as open, count(*) filter (where consumed_at is not null) as ended from authorization_codes`,
  'device codes': `select (select count(*) from audit_events where type = 'DEVICE_CODE_GENERATED') as created,
    count(*) filter (where status in ('pending', 'approved')) as open,
    count(*) filter (where status not in ('pending', 'approved')) as ended from device_codes`,
  'token families': `select (select count(*) from audit_events where type in
      ('AUTHORIZATION_CODE_EXCHANGED', 'DEVICE_CODE_EXCHANGED')) as created,
    count(*) filter (where live) as open, count(*) filter (where not live) as ended
    from (select bool_or(revoked_at is null and expires_at > now()) as live from tokens
      where family_id in (select family_id from authorization_codes where consumed_at is not null
        union all select family_id from device_codes where status = 'redeemed')
      group by family_id) as families`,
  // A consent that gained scopes is approved again; here nobody asks for more.
  consents: `select (select count(*) from audit_events where type = 'USER_AUTHORIZATION_GRANTED') as created,
    count(*) filter (where revoked_at is null) as open, count(*) filter (where revoked_at is not null) as ended from consents`,
}

export async function balance(world: World): Promise<Balance[]> {
  const balances: Balance[] = []
  for (const [what, statement] of Object.entries(ledgers)) {
    const [row = {}] = await world.sql(statement)
    const [created, open, ended] = ['created', 'open', 'ended'].map((key) => Number(row[key]))
    const sums = { what, created: created ?? 0, open: open ?? 0, ended: ended ?? 0 }
    if (sums.created !== sums.open + sums.ended)
      find(world.books, 'miscounted', `${what}: ${JSON.stringify(sums)}`)
    balances.push(sums)
  }
  return balances
}

/** One code leads to one family, one family has one refresh token in force, one form starts one session. */
export async function findDoubled(world: World): Promise<void> {
  const { books } = world
  const doubled = async (what: string, statement: string) => {
    for (const row of await world.sql(statement))
      find(books, 'doubled', `${what}: ${JSON.stringify(row)}`)
  }
  await doubled(
    'a family begun twice',
    `select resource_id, count(*) from audit_events
      where type in ('AUTHORIZATION_CODE_EXCHANGED', 'DEVICE_CODE_EXCHANGED') group by 1 having count(*) > 1`,
  )
  await doubled(
    'two refresh tokens in force',
    `select family_id, count(*) from tokens
      where type = 'refresh' and revoked_at is null and expires_at > now() group by 1 having count(*) > 1`,
  )
  // A new password renews the session that asks for it.
  const started = await world.sql(`select user_id, count(*) - (select count(*) from audit_events
    where type = 'USER_PASSWORD_CHANGED' and actor_user_id = user_id::text) as count from sessions group by 1`)
  const rows = new Map(started.map((row) => [row['user_id'], Number(row['count'])]))
  for (const { id, username, signIns } of world.people) {
    const { acknowledged, unsure } = signIns
    const found = rows.get(id) ?? 0
    if (found < acknowledged || found > acknowledged + unsure)
      find(
        books,
        found < acknowledged ? 'lost' : 'doubled',
        `${username} signed in ${acknowledged} times (and at most ${unsure} unanswered): ${found} sessions`,
      )
  }
}

/** A series, and the rows that it must equal. */
const gauges: Readonly<Record<string, string>> = {
  sessions_active: `select count(*) from sessions join users on users.id = user_id
    where ended_at is null and expires_at > now() and coalesce(idle_expires_at > now(), true) and is_active`,
  'oauth_tokens_active{token_type="access"}': liveTokens('access'),
  'oauth_tokens_active{token_type="refresh"}': liveTokens('refresh'),
  authgate_consents_active: 'select count(*) from consents where revoked_at is null',
  oauth_device_codes_active: `select count(*) from device_codes
    where status in ('pending', 'approved') and expires_at > now()`,
  oauth_device_codes_pending_authorization: `select count(*) from device_codes
    where status = 'pending' and expires_at > now()`,
}

function liveTokens(type: string) {
  return `select count(*) from tokens join clients using (client_id) left join users on users.id = user_id
    where tokens.type = '${type}' and revoked_at is null and expires_at > now()
      and coalesce(is_active, true) and clients.status = 'active'`
}

/** A count that came too late is left out of a scrape, and asked for again. */
export async function compareGauges(world: World, replicas: readonly Replica[]): Promise<number> {
  for (const [n, replica] of replicas.entries()) {
    const deadline = performance.now() + 10_000
    let samples = await replica.samples()
    let differences = await differencesOf(world, samples)
    while (differences.length > 0 && performance.now() < deadline) {
      await sleep(500)
      samples = await replica.samples()
      differences = await differencesOf(world, samples)
    }
    for (const difference of differences)
      find(world.books, 'miscounted', `replica ${n + 1}: ${difference}`)
    const uncaught = samples.get('authgate_uncaught_errors_total') ?? 0
    if (uncaught > 0)
      find(world.books, 'crashes', `replica ${n + 1} counted ${uncaught} uncaught errors`)
  }
  return replicas.length * Object.keys(gauges).length
}

async function differencesOf(world: World, samples: Samples): Promise<string[]> {
  const differences: string[] = []
  for (const [series, statement] of Object.entries(gauges)) {
    const rows = Number((await world.sql(statement))[0]?.['count'])
    const shown = samples.get(series)
    if (shown !== rows) differences.push(`${series} shows ${shown}, rows: ${rows}`)
  }
  return differences
}

interface Fact {
  readonly series: string
  readonly labels?: Readonly<Record<string, string>>
  /** `$when` stands for the condition on this column. */
  readonly from: string
  readonly at: string
}

const audited = (series: string, type: string, labels: Record<string, string> = {}): Fact => ({
  series,
  labels,
  from: `audit_events where type = '${type}'`,
  at: 'at',
})

const facts: readonly Fact[] = [
  { series: 'sessions.created', from: 'sessions where true', at: 'created_at' },
  { series: 'sessions.expired', from: 'sessions where ended_at is not null', at: 'ended_at' },
  { series: 'auth.logout', from: `sessions where end_reason = 'logout'`, at: 'ended_at' },
  {
    series: 'oauth.tokens.issued',
    labels: { token_type: 'access' },
    from: `tokens where type = 'access'`,
    at: 'created_at',
  },
  {
    series: 'oauth.tokens.issued',
    labels: { token_type: 'refresh' },
    from: `tokens where type = 'refresh'`,
    at: 'created_at',
  },
  {
    series: 'oauth.tokens.revoked',
    from: 'tokens where revoked_at is not null',
    at: 'revoked_at',
  },
  audited('oauth.tokens.refreshed', 'TOKEN_REFRESHED', { result: 'success' }),
  audited('oauth.consent.granted', 'USER_AUTHORIZATION_GRANTED'),
  audited('oauth.consent.revoked', 'USER_AUTHORIZATION_REVOKED'),
  audited('authgate.authorization_codes', 'AUTHORIZATION_CODE_GENERATED', { event: 'issued' }),
  audited('authgate.authorization_codes', 'AUTHORIZATION_CODE_EXCHANGED', { event: 'redeemed' }),
  {
    series: 'oauth.device_codes',
    labels: { result: 'success' },
    from: 'device_codes where true',
    at: 'created_at',
  },
  {
    series: 'authgate.device_codes.ended',
    labels: { result: 'redeemed' },
    from: `device_codes where status = 'redeemed'`,
    at: 'last_polled_at',
  },
]

export interface Compared {
  readonly fact: string
  readonly rows: number
  readonly counted: number
  /** How much less the counters may show: the tails of killed processes, and commits whose answer was lost. */
  readonly allowance: number
}

/**
 * A counter never shows more than was committed. It shows less only where a process was killed after its last push, or
 * where the connection was lost while the commit was under way, so that the server itself could not know.
 */
export async function compareCounters(
  world: World,
  { lives, replicas }: { lives: ReadonlyMap<string, Life>; replicas: readonly Replica[] },
): Promise<Compared[]> {
  const tails = replicas.flatMap((replica) =>
    replica.lives.flatMap(({ instance, killedAt }) =>
      killedAt === undefined ? [] : [tail(lives.get(instance), killedAt)],
    ),
  )
  const compared: Compared[] = []
  for (const { series, labels = {}, from, at } of facts) {
    const during = tails.map(([since, until]) => `${at} between '${since}' and '${until}'`)
    const [row = {}] = await world.sql(
      `select count(*) as rows, count(*) filter (where ${during.join(' or ') || 'false'}) as tails from ${from}`,
    )
    const counted = sumOf(lives, series, labels)
    const rows = Number(row['rows'])
    const allowance = Number(row['tails']) + total(world.books.unsure)
    const fact = seriesKey(series, labels)
    compared.push({ fact, rows, counted, allowance })
    if (counted > rows || counted < rows - allowance)
      find(
        world.books,
        'miscounted',
        `${fact}: ${counted} counted, ${rows} rows, ${allowance} may be missing`,
      )
  }
  return compared
}

/** What was committed in it may not have been counted; rows carry the time at which their request came. */
const tail = (life: Life | undefined, killedAt: number) =>
  [(life?.heardAt ?? 0) - boundMs, killedAt + 1000].map((at) =>
    new Date(Math.max(at, 0)).toISOString(),
  )

function sumOf(lives: ReadonlyMap<string, Life>, series: string, labels: Record<string, string>) {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  const isIt = (key: string) =>
    (key === series || key.startsWith(`${series}{`)) && wanted.every((pair) => key.includes(pair))
  let sum = 0
  for (const { counters } of lives.values())
    for (const [key, value] of counters) if (isIt(key)) sum += value
  return sum
}

/** Whatever looks like a secret in a log is looked up among those that were seen. */
export async function findSecrets(books: Books, replicas: readonly Replica[]): Promise<number> {
  let lines = 0
  for (const { logFile } of replicas) {
    for await (const line of createInterface({ input: createReadStream(logFile) })) {
      lines += 1
      for (const [word] of line.matchAll(/[\w.~*%-]{16,}/g))
        if (books.secrets.has(word) || books.secrets.has(decoded(word)))
          find(
            books,
            'secrets in logs',
            line.replaceAll(word, `${word.slice(0, 4)}…`).slice(0, 300),
          )
    }
  }
  return lines
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word)
  } catch {
    return word
  }
}

/** Renders docs/LIMITS.md from the table of limiters and the settings. */
import { settings } from '#/config/config.ts'
import { rateSettings } from '#/config/limits.ts'
import { type LimitRow, limitTable, minuteMs, type RateName } from '#/web/limits/limit-table.ts'

const guards: Readonly<Record<LimitRow['guards'], string>> = {
  guessing: 'guessing: charged first, given back when it was right or never checked',
  flooding: 'flooding: never given back',
  rows: 'rows that stay: never given back',
}

function renderRate(name: RateName): string {
  const setting = rateSettings[name]
  return `\`${setting}\` (${settings[setting].default})`
}

function renderRow([name, row]: [string, LimitRow]): string {
  const { limit, windowMs = minuteMs } = row
  const bound = typeof limit === 'number' ? String(limit) : renderRate(limit)
  const window = windowMs === minuteMs ? 'minute' : 'day'
  return `| \`${name}\` | ${row.endpoint === 'any' ? 'all' : `\`${row.endpoint}\``} | ${row.counts} | ${row.per} | ${bound} a ${window} | ${guards[row.guards]} |`
}

export const renderLimitsPage = (): string =>
  [
    '# Limits',
    '',
    'Generated from `src/web/limits/limit-table.ts` by `npm run docs`; do not edit. [Decision 27](decisions/0027-what-succeeds-counts-against-nobody.md) says why.',
    '',
    '- **What succeeds counts against nobody**, below ceilings that guard the machine. A request is charged to all of its limiters or, when one is full, to none: what was refused costs nobody anything.',
    '- **Address and network:** an IPv4 address has the limit, its /24 four times that; an IPv6 /64 has the limit, its /56 twice and its /48 four times that.',
    '- **Guesses at one account** from browsers that it does not know: after 50 wrong passwords within a day each network (/24 or /48) has to wait between attempts, 2 seconds, then twice as long with every further 50, never more than a minute; beyond `LOGIN_ACCOUNT_RATE_LIMIT` in a minute, a minute at once. So no stranger can keep the owner out: from another network one attempt is always free.',
    '- A browser that has signed in to an account before counts for itself, and waits for nobody.',
    '- **Checking passwords** is slow on purpose. 256 sign-ins may wait, 64 of one network; networks take turns, and addresses within them. Known browsers go first, three turns of four. Beyond that the busiest address gets 503.',
    '- **Redis** shared by all replicas counts when `REDIS_URL` names one, otherwise each process for itself. While Redis is out of reach each process counts in its own memory (`authgate_rate_limit_checks_total{result="error"|"fallback"}`), so that with several replicas a limit may be reached once in each; it is used again within a second of its return. The ceiling over all requests, and that of an access token, are always kept by each process.',
    '- **Memory:** 100 000 windows of each length at most; beyond that the oldest, which would end first, is forgotten.',
    '- **`METRICS_TOKEN`:** ten wrong tokens a minute from one address at the exporter port; then 429, also for the right one. Each is logged.',
    '- `rate_limit_exceeded_total{endpoint}` counts requests that were answered 429; the first of a key and window is an audit event `RATE_LIMIT_EXCEEDED` that names the limiter.',
    '',
    '| limiter | endpoint | counts | for each | limit | guards against |',
    '| --- | --- | --- | --- | --- | --- |',
    ...Object.entries(limitTable).map(renderRow),
    '',
  ].join('\n')

/** The demo, run as a newcomer runs it, only shorter: it must agree with the scrape, and leave no series at rest. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { catalogue } from '#/telemetry/catalogue.ts'
import {
  prometheusLabel,
  prometheusName,
  prometheusSampleNames,
} from '#/telemetry/prometheus-name.ts'
import { combinations, type Series } from '#/telemetry/series.ts'
import { freePort } from '../support/ports.ts'
import { nodePath } from '../support/process.ts'
import { parseSamples, type Samples, seriesKey } from '../support/prometheus.ts'

const demo = fileURLToPath(new URL('../../bench/demo.ts', import.meta.url))

let child: ChildProcess
let samples: Samples = new Map()
let output = ''
let exitCode: unknown

beforeAll(async () => {
  const metricsPort = await freePort()
  child = spawn(nodePath, [demo, '--seconds', '5', '--people', '6'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      PORT: String(await freePort()),
      OTEL_EXPORTER_PROMETHEUS_PORT: String(metricsPort),
    },
  })
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8')
    })
  let ended = false
  const exit = once(child, 'exit').then(([code]) => {
    ended = true
    exitCode = code
  })
  while (!ended) {
    const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`).catch(() => undefined)
    const text = await response?.text().catch(() => '')
    if (text) samples = parseSamples(text)
    await Promise.race([exit, sleep(250)])
  }
}, 170_000)

afterAll(() => {
  if (child.exitCode === null) child.kill('SIGTERM')
})

/** Series of counters that no run of the demo can move, each with its reason. */
const unmoved: readonly (readonly [why: string, pattern: RegExp])[] = [
  ['the demo has no provider', /^auth_oauth_callback_total\{/],
  [
    'the demo has no provider',
    /^authgate_login_failures_total\{reason="(upstream|not_admitted)"\}/,
  ],
  [
    'the demo has no provider',
    /^(rate_limit_exceeded|authgate_rate_limit_checks)_total\{endpoint="\/auth\/(login|callback)"/,
  ],
  [
    'signing in elsewhere is not offered',
    /^auth_(attempts|login)_total\{.*"(http_api|oauth|github|gitea|gitlab|microsoft|oidc)"/,
  ],
  [
    'every app of the demo uses PKCE',
    /^authgate_authorization_requests_without_pkce_total\{result="accepted"/,
  ],
  ['passwords are checked by the demo itself', /^auth_external_api_/],
  [
    'passwords are checked by the demo itself',
    /^authgate_login_failures_total\{reason="(unavailable|conflict)"\}/,
  ],
  ['needs a failing database', /^authgate_login_failures_total\{reason="error"\}/],
  ['needs a failing database', /^oauth_tokens_refreshed_total\{result="error"\}/],
  ['needs a failing database', /^database_query_errors_total/],
  ['needs a failing database', /^cache_errors_total/],
  ['needs a failing database', /^authgate_sweeper_errors_total/],
  ['needs a failing database', /^audit_events_dropped_total/],
  ['needs a bug', /^authgate_uncaught_errors_total/],
  ['the scrapes of the demo need no token', /^authgate_refusals_total\{kind="metrics_token"\}/],
  ['needs hundreds of busy connections', /^authgate_connections_refused_total/],
  [
    'needs a failing database',
    /^authgate_oauth_errors_total\{.*error="(server_error|temporarily_unavailable)"/,
  ],
  [
    'needs a stolen session',
    /^(rate_limit_exceeded|authgate_rate_limit_checks)_total\{endpoint="\/account\/security\/password"(,result="limited")?\}/,
  ],
  [
    'nobody of the demo registers an app',
    /^(rate_limit_exceeded|authgate_rate_limit_checks)_total\{endpoint="\/apps"/,
  ],
  ['needs a failing Redis', /^authgate_rate_limit_checks_total\{.*result="(error|fallback)"/],
  [
    'needs thirty thousand requests of one address in a minute',
    /^(authgate_rate_limit_checks|rate_limit_exceeded)_total\{endpoint="any"(,result="limited")?\}/,
  ],
  [
    'every limiter has a name',
    /^(authgate_rate_limit_checks|rate_limit_exceeded)_total\{endpoint="unknown"/,
  ],
  ['no table is full', /^authgate_rows_refused_total/],
  ['needs a failing collector', /^authgate_telemetry_export_failures_total/],
  [
    'clients may register themselves',
    /^authgate_oauth_errors_total\{endpoint="\/oauth\/register",error="registration_not_supported"/,
  ],
  ['the pages register clients for every grant', /error="unauthorized_client"/],
  [
    'no session may be set to live less than a minute',
    /^sessions_expired_total\{reason="timeout"\}/,
  ],
  [
    'requests are kept for ten minutes',
    /^authgate_sweeper_rows_total\{task="authorization_requests"\}/,
  ],
  [
    'used codes are kept for a day',
    /^authgate_sweeper_rows_total\{task="(authorization|device)_codes"\}/,
  ],
  ['a client is given up after an hour', /^authgate_logout_deliveries_total\{result="given_up"\}/],
  [
    'a client that does not answer is as good as one that refuses',
    /^authgate_outbound_requests_total\{purpose="backchannel_logout",result="timeout"\}/,
  ],
  ['keys sign for months', /^authgate_signing_keys_events_total\{event="(retired|deleted)"\}/],
  ['keys sign for months', /^authgate_sweeper_rows_total\{task="signing_keys"\}/],
  ['the secret stays the same', /^authgate_signing_keys_events_total\{event="resealed"\}/],
  ['dead tokens are kept for thirty days', /^authgate_sweeper_rows_total\{task="tokens"\}/],
  [
    'what was taken back or never approved is kept for weeks',
    /^authgate_sweeper_rows_total\{task="(consents|registrations)"\}/,
  ],
  ['used proofs are kept for minutes', /^authgate_sweeper_rows_total\{task="used_proofs"\}/],
  [
    'the demo is a closed network, whose addresses are asked',
    /^authgate_outbound_requests_total\{.*result="refused"/,
  ],
  [
    'one collection at a time asks for a count',
    /^authgate_cache_coalesced_total\{cache_name="population"\}/,
  ],
]

/** Histograms that no run of the demo can fill. */
const untimed = ['authgate_upstream_request_duration_seconds', 'auth_external_api_duration_seconds']

const keyOf = (name: string, labels: Readonly<Record<string, string>>) =>
  seriesKey(
    name,
    Object.fromEntries(
      Object.entries(labels).map(([label, value]) => [prometheusLabel(label), value]),
    ),
  )

const everySeries: readonly Series[] = Object.values(catalogue)

describe('npm run demo', () => {
  it('ends well: the scrape says exactly what the crowd did', () => {
    expect(output).toMatch(/\d+ series compared with what the demo did: all agree/)
    expect(exitCode).toBe(0)
  })

  it('shows every series of the catalogue', () => {
    const shown = new Set([...samples.keys()].map((key) => key.replace(/\{.*/, '')))
    const missing = everySeries
      .filter((series) => !untimed.includes(prometheusName(series)))
      .flatMap(prometheusSampleNames)
      .filter((name) => !shown.has(name))
    expect(missing).toEqual([])
  })

  it('moves every counter in every way that this server knows', () => {
    const resting = everySeries
      .filter(({ kind }) => kind === 'counter')
      .flatMap((series) =>
        combinations(series).map((labels) => keyOf(prometheusName(series), labels)),
      )
      .filter((key) => !(Number(samples.get(key)) > 0))
    expect(resting.filter((key) => !unmoved.some(([, pattern]) => pattern.test(key)))).toEqual([])
    // An exception that has become untrue is a lie.
    const needless = unmoved.filter(([, pattern]) => !resting.some((key) => pattern.test(key)))
    expect(needless).toEqual([])
  })

  it('times everything that has a histogram', () => {
    const silent = everySeries
      .filter(({ kind }) => kind === 'histogram')
      .map(prometheusName)
      .filter((name) => !untimed.includes(name))
      .map((name) => `${name}_count`)
      .filter((name) => ![...samples].some(([key, n]) => key.startsWith(name) && n > 0))
    expect(silent).toEqual([])
  })
})

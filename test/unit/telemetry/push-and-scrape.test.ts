/**
 * One run, told twice: what a scrape shows and what a push delivers are the same series. The push is decoded and named
 * here by the rules of Prometheus' OTLP receiver, written out independently of the code under test.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { catalogue } from '#/telemetry/catalogue.ts'
import { createGauge } from '#/telemetry/instruments.ts'
import { observeBuild } from '#/telemetry/observe-build.ts'
import { createRecorder } from '#/telemetry/recorder.ts'
import { identity, testMetrics } from './metrics-support.ts'
import { type Collector, startCollector } from './otlp-collector.ts'
import type { OtlpMetric } from './otlp-protobuf.ts'
import { sampleKey } from './prometheus-samples.ts'

let collector: Collector
beforeEach(async () => {
  collector = await startCollector()
})
afterEach(() => collector.close())

const hour = 3_600_000

function prometheusNameOf({ name, unit, kind, monotonic }: OtlpMetric): string {
  const words: Record<string, string> = { s: '_seconds', By: '_bytes' }
  const suffix = unit === '1' && kind === 'gauge' ? '_ratio' : (words[unit] ?? '')
  return `${name.replaceAll('.', '_')}${suffix}${monotonic ? '_total' : ''}`
}

function prometheusSamples(metrics: readonly OtlpMetric[]): Map<string, number> {
  const samples = new Map<string, number>()
  for (const metric of metrics) {
    const name = prometheusNameOf(metric)
    for (const point of metric.points) {
      const labels = Object.fromEntries(
        Object.entries(point.attributes).map(([key, value]) => [key.replaceAll('.', '_'), value]),
      )
      if (metric.kind !== 'histogram') {
        samples.set(sampleKey(name, labels), point.value)
        continue
      }
      let below = 0
      point.bucketCounts.forEach((count, i) => {
        below += count
        const le = point.bounds[i] ?? '+Inf'
        samples.set(sampleKey(`${name}_bucket`, { ...labels, le }), below)
      })
      samples.set(sampleKey(`${name}_count`, labels), point.count)
      samples.set(sampleKey(`${name}_sum`, labels), point.sum)
    }
  }
  return samples
}

async function run(protocol: 'http/json' | 'http/protobuf') {
  const metrics = testMetrics({
    otlp: { url: `${collector.url}/v1/metrics`, protocol, intervalMs: hour, timeoutMs: 5000 },
    resourceAttributes: { 'deployment.environment.name': 'test' },
  })
  const recorder = createRecorder(metrics.meter)
  recorder.loginAttempted({ method: 'local', source: 'local', result: 'success', seconds: 0.12 })
  recorder.sessionStarted()
  recorder.sessionEnded('logout', 4000)
  recorder.tokensRevoked('reuse', 'refresh', 3)
  recorder.databaseOperation('SELECT', 0.003)
  recorder.databaseOperation('SELECT', 0.2, 'timeout')
  recorder.httpRequestStarted('POST', 'http')
  recorder.httpRequestEnded({
    method: 'POST',
    route: '/login',
    status: 303,
    scheme: 'http',
    seconds: 0.3,
  })
  recorder.httpRequestStarted('GET', 'https')
  observeBuild(metrics.meter, { version: '1.2.3', commit: 'ab"c\\d' })
  createGauge(metrics.meter, catalogue.usersActive).addCallback((result) =>
    result.observe(41, { auth_source: 'local' }),
  )
  createGauge(metrics.meter, catalogue.eventLoopUtilization).addCallback((r) => r.observe(0.25))
  createGauge(metrics.meter, catalogue.processMemory).addCallback((r) => r.observe(1024))
  const scraped = new Map(await metrics.scrape())
  await metrics.shutdown()
  return scraped
}

describe.each(['http/json', 'http/protobuf'] as const)('over %s', (protocol) => {
  it('a push has the names, labels and values of a scrape', async () => {
    const scraped = await run(protocol)
    for (const key of scraped.keys()) if (key.startsWith('target_info')) scraped.delete(key)
    expect(collector.metrics).toHaveLength(1)
    const pushed = prometheusSamples(collector.metrics[0]?.metrics ?? [])
    // Escapes belong to the text, not to the value.
    const unescaped = [...scraped].map(([key, value]) => [
      key.replaceAll('\\"', '"').replaceAll('\\\\', '\\'),
      value,
    ])
    expect(Object.fromEntries(unescaped)).toEqual(Object.fromEntries(pushed))
    expect(pushed.size).toBeGreaterThan(100)
  })

  it('a push says which service, version and instance it comes from', async () => {
    await run(protocol)
    expect(collector.metrics[0]?.resource).toMatchObject({
      'service.name': identity.serviceName,
      'service.version': identity.serviceVersion,
      'service.instance.id': identity.instanceId,
      'deployment.environment.name': 'test',
      'telemetry.sdk.language': 'nodejs',
    })
  })

  it('sums and histograms are cumulative', async () => {
    await run(protocol)
    const metrics = collector.metrics[0]?.metrics ?? []
    const temporalities = metrics.filter(({ kind }) => kind !== 'gauge').map((m) => m.temporality)
    expect(new Set(temporalities)).toEqual(new Set([2]))
  })

  it('the content type is that of the protocol', async () => {
    await run(protocol)
    expect(collector.headers[0]?.['content-type']).toBe(
      protocol === 'http/json' ? 'application/json' : 'application/x-protobuf',
    )
  })
})

it('the names that users know are exactly these', async () => {
  const scraped = await run('http/json')
  const names = new Set([...scraped.keys()].map((key) => key.replace(/\{.*/, '')))
  for (const name of [
    'rate_limit_exceeded_total',
    'oauth_consent_granted_total',
    'oauth_consent_revoked_total',
    'authgate_users_active',
    'authgate_build_info',
    'sessions_created_total',
    'sessions_expired_total',
    'session_duration_seconds_bucket',
    'auth_attempts_total',
    'auth_login_total',
    'auth_logout_total',
    'auth_login_duration_seconds_count',
    'oauth_tokens_issued_total',
    'oauth_tokens_revoked_total',
    'oauth_tokens_refreshed_total',
    'oauth_token_validation_total',
    'database_query_errors_total',
    'cache_hits_total',
    'cache_misses_total',
    'cache_errors_total',
    'audit_events_dropped_total',
    'http_server_request_duration_seconds_sum',
    'db_client_operation_duration_seconds_bucket',
    'nodejs_eventloop_utilization_ratio',
    'process_memory_usage_bytes',
  ])
    expect(names).toContain(name)
})

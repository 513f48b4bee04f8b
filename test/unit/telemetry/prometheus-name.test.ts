import { describe, expect, it } from 'vitest'
import { catalogue } from '#/telemetry/catalogue.ts'
import {
  prometheusLabel,
  prometheusName,
  prometheusSampleNames,
  translateName,
} from '#/telemetry/prometheus-name.ts'

describe('a name in Prometheus', () => {
  it.each([
    ['rate_limit.exceeded', '{request}', 'counter', 'rate_limit_exceeded_total'],
    ['http.server.request.duration', 's', 'histogram', 'http_server_request_duration_seconds'],
    ['authgate.build.info', undefined, 'gauge', 'authgate_build_info'],
    ['nodejs.eventloop.utilization', '1', 'gauge', 'nodejs_eventloop_utilization_ratio'],
    ['nodejs.eventloop.time', 's', 'counter', 'nodejs_eventloop_time_seconds_total'],
    ['process.memory.usage', 'By', 'gauge', 'process_memory_usage_bytes'],
    ['http.server.active_requests', '{request}', 'gauge', 'http_server_active_requests'],
    ['ratio.of.counts', '1', 'counter', 'ratio_of_counts_total'],
    ['already.seconds', 's', 'gauge', 'already_seconds'],
    ['total.of.things', '{thing}', 'counter', 'of_things_total'],
  ] as const)('%s [%s] of a %s is %s', (name, unit, type, expected) => {
    expect(translateName(name, unit, type)).toBe(expected)
  })

  it('is different for every series of the catalogue, samples of histograms included', () => {
    const names = Object.values(catalogue).flatMap(prometheusSampleNames)
    expect(new Set(names).size).toBe(names.length)
  })

  it('is valid for every series and label of the catalogue', () => {
    for (const series of Object.values(catalogue)) {
      expect(prometheusName(series)).toMatch(/^[a-z][a-z0-9_]*$/)
      for (const label of Object.keys({ ...series.labels, ...series.openLabels }))
        expect(prometheusLabel(label)).toMatch(/^[a-z][a-z0-9_]*$/)
    }
  })

  it('of a histogram stands for three', () => {
    expect(prometheusSampleNames(catalogue.sessionDuration)).toEqual([
      'session_duration_seconds_bucket',
      'session_duration_seconds_sum',
      'session_duration_seconds_count',
    ])
  })
})

describe('the catalogue', () => {
  it('has no unit and no _total in a name', () => {
    for (const { name } of Object.values(catalogue))
      expect(name).not.toMatch(/seconds|bytes|total$/)
  })

  it('has buckets that rise', () => {
    for (const { buckets } of Object.values(catalogue).filter((s) => 'buckets' in s) as {
      buckets: readonly number[]
    }[])
      expect(buckets).toEqual([...new Set(buckets)].sort((a, b) => a - b))
  })
})

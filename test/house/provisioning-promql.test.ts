/** What the reading of PromQL must find, since it stands guard over every dashboard and rule. */
import { describe, expect, it } from 'vitest'
import { catalogueMetrics, expandGrafana, readQuery } from '../support/promql.ts'

const known = catalogueMetrics()
const problemsOf = (query: string) => readQuery(query, known).problems.join('; ')
const labelsOf = (query: string) => [...(readQuery(query, known).labels?.keys() ?? [])].sort()

describe('finds what can never show anything', () => {
  const wrong: [string, string, string][] = [
    ['a query that does not parse', 'sum by (job) (', 'does not parse'],
    ['a series that does not exist', 'sessions_open', 'sessions_open is not a series'],
    ['a name without its unit', 'process_memory_usage', 'is not a series'],
    [
      'a label that the series does not have',
      'sessions_active{reason="logout"}',
      'no label reason',
    ],
    [
      'a value that the label never has',
      'sum(rate(sessions_expired_total{reason="expired"}[5m]))',
      'never has reason="expired"',
    ],
    [
      'one value of several',
      'sum(rate(sessions_expired_total{reason=~"logout|gone"}[5m]))',
      'reason="gone"',
    ],
    ['another job than ours', 'sessions_active{job="prod"}', 'never has job="prod"'],
    [
      'a grouping by a label that is not there',
      'sum by (user) (rate(auth_login_total[5m]))',
      'sum by user',
    ],
    [
      'a grouping by a label that is gone',
      'max by (instance) (sum by (job) (up))',
      'max by instance',
    ],
    ['a counter read as it stands', 'sessions_created_total > 5', 'without a rate'],
    [
      'a counter of a histogram read as it stands',
      'session_duration_seconds_count',
      'without a rate',
    ],
    ['a rate of a gauge', 'rate(sessions_active[5m])', 'not a counter'],
    [
      'a quantile without buckets',
      'histogram_quantile(0.9, sum(rate(session_duration_seconds_bucket[5m])))',
      'label le',
    ],
    ['sides that share no labels', 'up / sum by (job) (up)', 'never match'],
    ['a match on a label of one side', 'up / on (instance) sum by (job) (up)', 'on (instance)'],
    [
      'a replacement from nothing',
      'label_replace(up, "a", "$1", "b", "(.*)")',
      'label_replace from b',
    ],
  ]
  for (const [what, query, problem] of wrong) {
    it(what, () => {
      expect(problemsOf(query)).toContain(problem)
    })
  }
})

describe('accepts what Prometheus would answer', () => {
  const right: [string, string[]][] = [
    ['sessions_active{job="authgate"}', ['instance', 'job']],
    ['sum by (reason) (increase(sessions_expired_total{reason!="logout"}[$__range]))', ['reason']],
    [
      'sum without (instance) (rate(auth_login_total{result=~"s.*|failure"}[5m]))',
      ['auth_source', 'job', 'result'],
    ],
    [
      'histogram_quantile(0.9, sum by (le) (rate(session_duration_seconds_bucket[$__rate_interval])))',
      [],
    ],
    ['up and on (job) max by (job) (process_uptime_seconds) > 60', ['instance', 'job']],
    ['sum by (job) (up) or vector(0)', ['job']],
    ['absent(up{job="$job"})', ['job']],
    ['1 - sum by (job) (up) / count by (job) (up)', ['job']],
    ['label_replace(up, "pod", "$1", "instance", "(.*):.*")', ['instance', 'job', 'pod']],
    ['resets(process_uptime_seconds{job=~".+"}[30m]) > 2', ['instance', 'job']],
    ['max_over_time(sessions_active[1h:1m]) offset 1d', ['instance', 'job']],
  ]
  for (const [query, labels] of right) {
    it(query, () => {
      expect(problemsOf(expandGrafana(query))).toBe('')
      expect(labelsOf(expandGrafana(query))).toEqual(labels)
    })
  }
})

it('knows a series by the name that is scraped', () => {
  for (const name of [
    'rate_limit_exceeded_total',
    'http_server_request_duration_seconds_bucket',
    'authgate_build_info',
    'nodejs_eventloop_utilization_ratio',
    'v8js_memory_heap_used_bytes',
  ]) {
    expect([...known.keys()]).toContain(name)
  }
})

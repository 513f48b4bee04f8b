/** What the server tells of itself: metrics, traces and the log. */
import { z } from 'zod'
import { duration, flag, httpUrl, isLoopback, list, port, problem, whole } from './parsers.ts'
import type { server } from './server.ts'
import { type Area, type IsWritten, type Settings, setting, type ValuesOf } from './setting.ts'

const share = z.string().transform((text, context) => {
  const ratio = Number(text)
  return ratio >= 0 && ratio <= 1 ? ratio : problem(context, 'write a number from 0 to 1')
})

const settings = {
  METRICS_ENABLED: setting(
    flag,
    'true',
    'Record metrics, serve them and push them. `false`: no listener, no push, no cost.',
  ),
  METRICS_TOKEN: setting(
    z.string().min(16, 'write at least 16 characters'),
    undefined,
    'Bearer token that a scrape must send. Required when the exporter listens beyond loopback.',
    { secret: true },
  ),
  METRICS_POPULATION_TTL: setting(
    duration,
    '15s',
    'How old the counts behind the population gauges may be; `0s` counts at every scrape.',
  ),
  OTEL_EXPORTER_PROMETHEUS_HOST: setting(z.string(), '127.0.0.1', 'Address of the exporter port.'),
  OTEL_EXPORTER_PROMETHEUS_PORT: setting(
    port,
    '9464',
    'The exporter port; `GET /metrics` there, never on the public port.',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting(
    httpUrl,
    undefined,
    'OTLP/HTTP collector to push metrics and traces to. Unset: no push.',
  ),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: setting(httpUrl, undefined, 'Full URL for metrics only.'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: setting(httpUrl, undefined, 'Full URL for traces only.'),
  OTEL_EXPORTER_OTLP_PROTOCOL: setting(
    z.enum(['http/protobuf', 'http/json'], 'write http/protobuf or http/json'),
    'http/protobuf',
    'Encoding of the push.',
  ),
  OTEL_METRICS_EXPORTER: setting(
    list.refine(
      (items) => items.every((item) => ['prometheus', 'otlp', 'none'].includes(item)),
      'write prometheus, otlp, both separated by a comma, or none',
    ),
    'prometheus,otlp',
    'Ways out for metrics.',
  ),
  OTEL_TRACES_EXPORTER: setting(
    z.enum(['otlp', 'none'], 'write otlp or none'),
    'otlp',
    'Exporter for traces; needs an endpoint.',
  ),
  OTEL_TRACES_SAMPLER_ARG: setting(share, '1', 'Fraction of traces that are sampled.'),
  OTEL_METRIC_EXPORT_INTERVAL: setting(whole(100), '60000', 'Milliseconds between pushes.'),
  OTEL_METRIC_EXPORT_TIMEOUT: setting(whole(100), '30000', 'Milliseconds a push may take.'),
  OTEL_SERVICE_NAME: setting(
    z.string(),
    undefined,
    '`service.name` of everything exported. Default: what `OTEL_RESOURCE_ATTRIBUTES` says, else `authgate`.',
  ),
  OTEL_RESOURCE_ATTRIBUTES: setting(
    list,
    '',
    'Further resource attributes, `key=value` separated by commas.',
  ),
  OTEL_SDK_DISABLED: setting(flag, 'false', '`true` disables metrics and traces.'),
  AUTHGATE_COMMIT: setting(
    z.string(),
    undefined,
    'Commit shown by `authgate_build_info`; the image sets it. Default: what git says.',
  ),
  LOG_LEVEL: setting(
    z.enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
      'write trace, debug, info, warn, error or silent',
    ),
    'info',
    'Minimum severity that is logged.',
  ),
  ACCESS_LOG: setting(
    z.enum(['off', 'json'], 'write off or json'),
    'off',
    'With `json`, one line for each request but probes, at level `info`: method, route, status, milliseconds, address, and client and user where they are known; never a query or a body.',
  ),
} satisfies Settings

type Values = ValuesOf<typeof settings>

function problems(
  v: Partial<Values> & Partial<Pick<ValuesOf<typeof server.settings>, 'PORT'>>,
  isWritten: IsWritten,
): string[] {
  const { OTEL_EXPORTER_PROMETHEUS_HOST: host = '', OTEL_RESOURCE_ATTRIBUTES: attributes = [] } = v
  const isScraped =
    v.METRICS_ENABLED && !v.OTEL_SDK_DISABLED && v.OTEL_METRICS_EXPORTER?.includes('prometheus')
  return [
    ...(isScraped && !isLoopback(host) && !isWritten('METRICS_TOKEN')
      ? [
          `METRICS_TOKEN: is required when the exporter listens beyond this machine (OTEL_EXPORTER_PROMETHEUS_HOST is "${host}"); write a random text of at least 16 characters.`,
        ]
      : []),
    ...attributes
      .filter((pair) => !/^[^=\s]+=./.test(pair) || !isDecodable(pair))
      .map(
        (pair) =>
          `OTEL_RESOURCE_ATTRIBUTES: write key=value pairs separated by commas (it has "${pair}").`,
      ),
    ...(isScraped && v.PORT !== undefined && v.PORT === v.OTEL_EXPORTER_PROMETHEUS_PORT
      ? [
          'OTEL_EXPORTER_PROMETHEUS_PORT: must differ from PORT; metrics are never served on the public port.',
        ]
      : []),
  ]
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const read = (v: Values) => ({
  commit: v.AUTHGATE_COMMIT,
  resource: readResource(v),
  metrics: readMetrics(v),
  traces: { url: tracesUrl(v), ratio: v.OTEL_TRACES_SAMPLER_ARG },
  log: { level: v.LOG_LEVEL, access: v.ACCESS_LOG === 'json' },
})

function readResource(v: Values) {
  const resourceAttributes = Object.fromEntries(v.OTEL_RESOURCE_ATTRIBUTES.map(splitPair))
  const serviceName = v.OTEL_SERVICE_NAME ?? resourceAttributes['service.name'] ?? 'authgate'
  return { serviceName, resourceAttributes }
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=')
  return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))]
}

function readMetrics(v: Values) {
  const exporters = v.OTEL_METRICS_EXPORTER
  const enabled = v.METRICS_ENABLED && !v.OTEL_SDK_DISABLED && !exporters.includes('none')
  const url = exporters.includes('otlp')
    ? signalUrl(v.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, v.OTEL_EXPORTER_OTLP_ENDPOINT, 'metrics')
    : undefined
  return {
    enabled,
    populationTtlMs: v.METRICS_POPULATION_TTL,
    token: v.METRICS_TOKEN,
    /** The port for scrapes, where it is wanted. */
    exporter:
      enabled && exporters.includes('prometheus')
        ? { host: v.OTEL_EXPORTER_PROMETHEUS_HOST, port: v.OTEL_EXPORTER_PROMETHEUS_PORT }
        : undefined,
    otlp:
      url === undefined
        ? undefined
        : {
            url,
            protocol: v.OTEL_EXPORTER_OTLP_PROTOCOL,
            intervalMs: v.OTEL_METRIC_EXPORT_INTERVAL,
            timeoutMs: v.OTEL_METRIC_EXPORT_TIMEOUT,
          },
  }
}

const tracesUrl = (v: Values) =>
  v.OTEL_SDK_DISABLED || v.OTEL_TRACES_EXPORTER === 'none'
    ? undefined
    : signalUrl(v.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, v.OTEL_EXPORTER_OTLP_ENDPOINT, 'traces')

const signalUrl = (own: string | undefined, base: string | undefined, signal: string) =>
  own ?? (base === undefined ? undefined : `${base}/v1/${signal}`)

export const telemetry = { title: 'Telemetry', settings, problems, read } satisfies Area

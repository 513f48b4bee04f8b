/**
 * The meter and the one reader behind it, which serves scrapes and pushes alike: two stock readers would run every
 * COUNT twice, cost twice at each record, and steal each other's gauges.
 */
import { createNoopMeter, type Meter } from '@opentelemetry/api'
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtobufExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import {
  AggregationTemporality,
  type CollectionResult,
  InstrumentType,
  MeterProvider,
  MetricReader,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics'
import { type ExportWatch, watchExports } from './export-state.ts'
import { errorType } from './log-errors.ts'
import { oneAtATime } from './one-at-a-time.ts'
import { toPrometheusText } from './prometheus-text.ts'
import { createResource, type ServiceIdentity } from './resource.ts'
import { withinTime } from './within-time.ts'

interface OtlpMetricsOptions {
  /** The full address, such as `http://collector:4318/v1/metrics`. */
  readonly url: string
  readonly protocol: 'http/protobuf' | 'http/json'
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Besides those of `OTEL_EXPORTER_OTLP_HEADERS`, which the exporter reads itself, as its compression and certificates. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface MetricsOptions extends ServiceIdentity, ExportWatch {
  readonly enabled: boolean
  /** Left out: nothing is pushed. */
  readonly otlp?: OtlpMetricsOptions | undefined
}

export interface Metrics {
  /** Make all instruments on this one. */
  readonly meter: Meter
  /** Everything, as Prometheus text, read after it was asked for. */
  collect(): Promise<string>
  /** Pushes what there is now. Never rejects; who wants to know whether it arrived asks the watch. */
  flush(): Promise<void>
  /** Pushes once more, within a bound, and stops. Never rejects. */
  shutdown(timeoutMs?: number): Promise<void>
}

/** A callback that hangs costs its own gauges, not the scrape. */
const collectTimeoutMs = 2000
const shutdownTimeoutMs = 5000

/** Starts metrics; switched off, the meter is the API's own no-op and nothing runs. */
export function startMetrics(options: MetricsOptions): Metrics {
  if (!options.enabled) {
    return {
      meter: createNoopMeter(),
      collect: () => Promise.resolve(''),
      flush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    }
  }
  const reader = options.otlp ? new PushReader(options.otlp, options) : new PullReader()
  const provider = new MeterProvider({ resource: createResource(options), readers: [reader] })
  const reportErrors = errorReporter(options.log)
  return {
    meter: provider.getMeter('authgate', options.serviceVersion),
    async collect() {
      const { resourceMetrics, errors } = await reader.collect()
      reportErrors(errors)
      return toPrometheusText(resourceMetrics)
    },
    flush: () => provider.forceFlush().catch(() => undefined),
    async shutdown(timeoutMs = shutdownTimeoutMs) {
      try {
        // The exporter retries for longer than the SDK's own bound.
        await withinTime(provider.shutdown({ timeoutMillis: timeoutMs }), timeoutMs)
      } catch (error) {
        options.log.warn({ error: errorType(error) }, 'the last metrics could not be exported')
      }
    },
  }
}

class PushReader extends PeriodicExportingMetricReader {
  readonly #collect = oneAtATime(() => super.collect({ timeoutMillis: collectTimeoutMs }))

  constructor(otlp: OtlpMetricsOptions, watch: ExportWatch) {
    super({
      exporter: createExporter(otlp, watch),
      exportIntervalMillis: otlp.intervalMs,
      // The SDK refuses a timeout beyond the interval.
      exportTimeoutMillis: Math.min(otlp.timeoutMs, otlp.intervalMs),
    })
  }

  override collect(): Promise<CollectionResult> {
    return this.#collect()
  }

  override selectAggregationTemporality(type: InstrumentType): AggregationTemporality {
    return temporalityOf(type)
  }
}

class PullReader extends MetricReader {
  readonly #collect = oneAtATime(() => super.collect({ timeoutMillis: collectTimeoutMs }))

  override collect(): Promise<CollectionResult> {
    return this.#collect()
  }

  override selectAggregationTemporality(type: InstrumentType): AggregationTemporality {
    return temporalityOf(type)
  }

  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
}

/** Cumulative, as Prometheus needs it, except for gauges: cumulative gauges would keep values that are no longer observed. */
const temporalityOf = (type: InstrumentType) =>
  type === InstrumentType.OBSERVABLE_GAUGE
    ? AggregationTemporality.DELTA
    : AggregationTemporality.CUMULATIVE

/** The exporter's own limit for one request with its retries. */
const exporterTimeoutMs = 10_000

function createExporter(otlp: OtlpMetricsOptions, watch: ExportWatch): PushMetricExporter {
  const timeoutMs = Math.min(otlp.timeoutMs, otlp.intervalMs)
  const config = {
    url: otlp.url,
    ...(otlp.headers && { headers: { ...otlp.headers } }),
    // Otherwise OTEL_EXPORTER_OTLP_TIMEOUT decides.
    ...(timeoutMs < exporterTimeoutMs && { timeoutMillis: timeoutMs }),
  }
  const exporter =
    otlp.protocol === 'http/json' ? new JsonExporter(config) : new ProtobufExporter(config)
  return {
    export: watchExports('metrics', watch, (metrics, done) => exporter.export(metrics, done)),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
}

/** Says once that gauges could not be read, and once that they can be again. */
function errorReporter(log: ExportWatch['log']) {
  let failing = false
  return (errors: readonly unknown[]) => {
    const [first] = errors
    if (errors.length > 0 && !failing) {
      log.warn({ error: errorType(first) }, 'some gauges could not be read')
    }
    if (errors.length === 0 && failing) log.info({}, 'all gauges have recovered')
    failing = errors.length > 0
  }
}

/** Starts the telemetry floor from the settings: metrics with their recorder, the exporter port, traces. */
import type { Config } from '#/config.ts'
import type { Log } from '#/telemetry/log.ts'
import { observeBuild } from '#/telemetry/observe-build.ts'
import { type Metrics, type MetricsOptions, startMetrics } from '#/telemetry/provider.ts'
import { createRecorder, type Recorder } from '#/telemetry/recorder.ts'
import { startRuntimeMetrics } from '#/telemetry/runtime.ts'
import {
  type ScrapeOptions,
  startScrapeListener,
  type TokenGuess,
} from '#/telemetry/scrape-listener.ts'
import { startTracing, type TracingOptions } from '#/telemetry/tracing.ts'
import { createMemoryStore } from '#/web/limits/limit-store.ts'
import { networkOf } from '#/web/request/client-address.ts'
import type { BuildInfo } from './build-info.ts'
import { explainListenError } from './listen.ts'

export type Telemetry = ReturnType<typeof startTelemetry>

export function startTelemetry(config: Config, build: BuildInfo, log: Log) {
  let recorder: Recorder | undefined
  let collectorAnswers = false
  const onExportFailure = (signal: 'metrics' | 'traces') => {
    collectorAnswers = false
    recorder?.exportFailed(signal)
  }
  const onExport = () => {
    collectorAnswers = true
  }
  const watch = { build, log, onExport }
  const metrics: Metrics = startMetrics(
    metricsOptions(config, { ...watch, onExportFailure: () => onExportFailure('metrics') }),
  )
  recorder = createRecorder(metrics.meter, log)
  const tracing = startTracing(
    tracingOptions(config, { ...watch, onExportFailure: () => onExportFailure('traces') }),
  )
  const stopRuntime = config.metricsEnabled ? startRuntimeMetrics(metrics.meter) : undefined
  if (config.metricsEnabled) observeBuild(metrics.meter, build)
  return {
    recorder,
    metrics,
    listen: (watch: Pick<ScrapeOptions, 'onWrongToken'>) =>
      openExporterPort(config, { ...watch, collect: metrics.collect, log }),
    /** Pushes while requests are drained, and so learns whether anybody takes it. */
    flush: () => metrics.flush(),
    /** The last push. Only a collector that took the one before, however slowly, is waited for as long as that. */
    async stop(longestMs: number) {
      const boundMs = collectorAnswers ? longestMs : Math.min(longestMs, lastPushToSilenceMs)
      await Promise.all([metrics.shutdown(boundMs), tracing.shutdown(boundMs)])
      stopRuntime?.()
    },
  }
}

const lastPushToSilenceMs = 1000

/** The exporter port, where it is wanted. */
async function openExporterPort(
  config: Config,
  watch: Pick<ScrapeOptions, 'collect' | 'onWrongToken' | 'log'>,
) {
  if (!config.metricsEnabled || !config.OTEL_METRICS_EXPORTER.includes('prometheus'))
    return undefined
  const {
    OTEL_EXPORTER_PROMETHEUS_HOST: host,
    OTEL_EXPORTER_PROMETHEUS_PORT: port,
    METRICS_TOKEN: token,
  } = config
  try {
    return await startScrapeListener({ host, port, token, guess: limitGuesses(), ...watch })
  } catch (error) {
    throw explainListenError(error, 'OTEL_EXPORTER_PROMETHEUS_PORT', port)
  }
}

/** Wrong tokens of one address in a minute. */
const wrongTokens = 10

export function limitGuesses(): (address: string) => TokenGuess {
  const store = createMemoryStore(Date.now)
  return (address) => {
    const key = networkOf(address)
    const charged = store.consume([{ key, limit: wrongTokens, windowMs: 60_000 }])
    return {
      isAllowed: charged.refused === undefined,
      isFirstRefusal: charged.refusals === 1,
      refund: charged.refund,
    }
  }
}

/** Random, so that two replicas never export under one name. */
const instanceId = crypto.randomUUID()

const identity = (config: Config, { version }: BuildInfo) => ({
  serviceName: config.OTEL_SERVICE_NAME ?? config.resourceAttributes['service.name'] ?? 'authgate',
  serviceVersion: version,
  instanceId,
  resourceAttributes: config.resourceAttributes,
})

interface Watch {
  readonly build: BuildInfo
  readonly log: Log
  readonly onExport: () => void
  readonly onExportFailure: () => void
}

const metricsOptions = (config: Config, { build, ...watch }: Watch): MetricsOptions => ({
  ...identity(config, build),
  ...watch,
  enabled: config.metricsEnabled,
  ...(config.metricsUrl !== undefined && {
    otlp: {
      url: config.metricsUrl,
      protocol: config.OTEL_EXPORTER_OTLP_PROTOCOL,
      intervalMs: config.OTEL_METRIC_EXPORT_INTERVAL,
      timeoutMs: config.OTEL_METRIC_EXPORT_TIMEOUT,
    },
  }),
})

const tracingOptions = (config: Config, { build, ...watch }: Watch): TracingOptions => ({
  ...identity(config, build),
  ...watch,
  url: config.tracesUrl,
  ratio: config.OTEL_TRACES_SAMPLER_ARG,
})

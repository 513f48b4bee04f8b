/** Starts the telemetry floor from the settings: metrics with their recorder, the exporter port, traces. */
import type { Config } from '#/config/config.ts'
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

export function startTelemetry(config: Config['telemetry'], build: BuildInfo, log: Log) {
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
  const stopRuntime = config.metrics.enabled ? startRuntimeMetrics(metrics.meter) : undefined
  if (config.metrics.enabled) observeBuild(metrics.meter, build)
  return {
    recorder,
    metrics,
    listen: (watch: Pick<ScrapeOptions, 'onWrongToken'>) =>
      openExporterPort(config.metrics, { ...watch, collect: metrics.collect, log }),
    /** Pushes while requests are drained, and so learns whether anybody takes it. */
    flush: () => metrics.flush(),
    /** The last push. Only a collector that took the one before, however slowly, is waited for as long as that. */
    async stop(maxMs: number) {
      const boundMs = collectorAnswers ? maxMs : Math.min(maxMs, lastPushToSilenceMs)
      await Promise.all([metrics.shutdown(boundMs), tracing.shutdown(boundMs)])
      stopRuntime?.()
    },
  }
}

const lastPushToSilenceMs = 1000

/** The exporter port, where it is wanted. */
async function openExporterPort(
  { exporter, token }: Config['telemetry']['metrics'],
  watch: Pick<ScrapeOptions, 'collect' | 'onWrongToken' | 'log'>,
) {
  if (!exporter) return undefined
  try {
    return await startScrapeListener({ ...exporter, token, guess: limitGuesses(), ...watch })
  } catch (error) {
    throw explainListenError(error, 'OTEL_EXPORTER_PROMETHEUS_PORT', exporter.port)
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

const identity = ({ resource }: Config['telemetry'], { version }: BuildInfo) => ({
  ...resource,
  serviceVersion: version,
  instanceId,
})

interface Watch {
  readonly build: BuildInfo
  readonly log: Log
  readonly onExport: () => void
  readonly onExportFailure: () => void
}

const metricsOptions = (
  config: Config['telemetry'],
  { build, ...watch }: Watch,
): MetricsOptions => ({
  ...identity(config, build),
  ...watch,
  enabled: config.metrics.enabled,
  otlp: config.metrics.otlp,
})

const tracingOptions = (
  config: Config['telemetry'],
  { build, ...watch }: Watch,
): TracingOptions => ({ ...identity(config, build), ...watch, ...config.traces })

/** Real metrics for tests: the meter, the reader and the text are the ones that the server uses. */
import { type Metrics, type MetricsOptions, startMetrics } from '#/telemetry/provider.ts'
import { parseSamples, type Samples } from './prometheus-samples.ts'

export interface LogLine {
  readonly level: 'info' | 'warn'
  readonly fields: unknown
  readonly message: string | undefined
}

/** A log that remembers; only the two methods that telemetry calls. */
export function rememberingLog() {
  const lines: LogLine[] = []
  const write =
    (level: LogLine['level']) =>
    (fields: unknown, message?: string): void => {
      lines.push({ level, fields, message })
    }
  return { lines, info: write('info'), warn: write('warn') }
}

export const identity = { serviceName: 'authgate', serviceVersion: '1.2.3', instanceId: 'one' }

export function testMetrics(options: Partial<MetricsOptions> = {}): Metrics & {
  scrape(): Promise<Samples>
} {
  const metrics = startMetrics({
    ...identity,
    enabled: true,
    log: rememberingLog(),
    onExportFailure: () => undefined,
    ...options,
  })
  return { ...metrics, scrape: async () => parseSamples(await metrics.collect()) }
}

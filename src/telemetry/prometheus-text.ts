/** Prometheus' text format of one collection, under the names that the same collection has when it is pushed. */
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { DataPointType, type MetricData, type ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { type PrometheusType, translateName } from './prometheus-name.ts'

export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8'

/** No prefix, no timestamps, no resource labels; with `target_info`, without scope labels. */
const serializer = new PrometheusSerializer(undefined, false, undefined, false, true)

/** Renders a collection. The serializer knows nothing of units in names, so it is given a renamed copy. */
export function toPrometheusText({ resource, scopeMetrics }: ResourceMetrics): string {
  return serializer.serialize({
    resource,
    scopeMetrics: scopeMetrics.map(({ scope, metrics }) => ({
      scope,
      metrics: metrics.map(renamed),
    })),
  })
}

function renamed(metric: MetricData): MetricData {
  const { descriptor } = metric
  const name = translateName(descriptor.name, descriptor.unit, typeOf(metric))
  // The text format has no UNIT line; the unit is in the name.
  return { ...metric, descriptor: { ...descriptor, name, unit: '' } }
}

function typeOf(metric: MetricData): PrometheusType {
  if (metric.dataPointType === DataPointType.SUM) return metric.isMonotonic ? 'counter' : 'gauge'
  return metric.dataPointType === DataPointType.GAUGE ? 'gauge' : 'histogram'
}

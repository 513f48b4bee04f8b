/** How a series is called in Prometheus: the same by scrape and by push, as Prometheus' own OTLP receiver translates names. */
import type { Series } from './series.ts'

/** UCUM units that we use, as Prometheus writes them. */
const unitWords: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes', '1': 'ratio' }

export type PrometheusType = 'counter' | 'gauge' | 'histogram'

/** `http.server.request.duration` [s] is `http_server_request_duration_seconds`; counters end in `_total`. */
export function prometheusName(series: Pick<Series, 'kind' | 'name' | 'unit'>): string {
  return translateName(series.name, series.unit, prometheusType(series))
}

/** Every name that samples of the series carry: a histogram has three. */
export function prometheusSampleNames(series: Pick<Series, 'kind' | 'name' | 'unit'>): string[] {
  const name = prometheusName(series)
  return series.kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
}

export function prometheusType({ kind }: Pick<Series, 'kind'>): PrometheusType {
  if (kind === 'histogram') return 'histogram'
  return kind === 'counter' || kind === 'observableCounter' ? 'counter' : 'gauge'
}

/** `http.request.method` is `http_request_method`. */
export const prometheusLabel = (label: string): string => label.replace(/[^a-zA-Z0-9_]/g, '_')

/** Adds the unit's word unless the name has it already, and `_total` last; annotations such as `{token}` add nothing. */
export function translateName(
  name: string,
  unit: string | undefined,
  type: PrometheusType,
): string {
  const words = name.split(/[^a-zA-Z0-9]+/).filter((word) => word !== '')
  const unitWord = unit === '1' && type !== 'gauge' ? undefined : unitWords[unit ?? '']
  if (unitWord !== undefined && !words.includes(unitWord)) words.push(unitWord)
  if (type !== 'counter') return words.join('_')
  return [...words.filter((word) => word !== 'total'), 'total'].join('_')
}

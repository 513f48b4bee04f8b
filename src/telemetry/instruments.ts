/** Creates the instruments of catalogue entries on a meter. */
import type {
  Histogram,
  Meter,
  MetricOptions,
  ObservableCounter,
  ObservableGauge,
} from '@opentelemetry/api'
import { labelLookup, type OnUnknownLabel } from './labels.ts'
import { type ClosedLabels, combinations, type LabelsOf, type Series } from './series.ts'

export type Count<L extends ClosedLabels> = (labels: LabelsOf<L>, count?: number) => void
export type Observe<L extends ClosedLabels> = (labels: LabelsOf<L>, value: number) => void

export interface Instruments {
  readonly meter: Meter
  readonly onUnknownLabel: OnUnknownLabel
}

/** A counter whose every combination of labels is there from the start, at 0. */
export function createCounter<L extends ClosedLabels>(
  { meter, onUnknownLabel }: Instruments,
  series: Series<L, 'counter'>,
): Count<L> {
  const counter = meter.createCounter(series.name, optionsOf(series))
  const attributesOf = labelLookup(series, onUnknownLabel)
  for (const labels of combinations(series)) counter.add(0, attributesOf(labels))
  return (labels, count = 1) => {
    // A count that is not a number would stay in the total for ever.
    if (count > 0) counter.add(count, attributesOf(labels))
  }
}

/** Goes up with `1` and down with `-1`. */
export function createUpDownCounter<L extends ClosedLabels>(
  { meter, onUnknownLabel }: Instruments,
  series: Series<L, 'upDownCounter'>,
): Observe<L> {
  const counter = meter.createUpDownCounter(series.name, optionsOf(series))
  const attributesOf = labelLookup(series, onUnknownLabel)
  for (const labels of combinations(series)) counter.add(0, attributesOf(labels))
  return (labels, change) => counter.add(change, attributesOf(labels))
}

/** A histogram; it has no series until something was observed, since observing 0 would count. */
export function createHistogram<L extends ClosedLabels>(
  { meter, onUnknownLabel }: Instruments,
  series: Series<L, 'histogram'>,
): Observe<L> {
  const histogram = createOpenHistogram(meter, series)
  const attributesOf = labelLookup(series, onUnknownLabel)
  // Clocks of two replicas can disagree; the event still counts.
  return (labels, value) => histogram.record(Math.max(value, 0), attributesOf(labels))
}

/** The instrument itself, for a histogram whose labels are not all from closed lists. */
export const createOpenHistogram = (
  meter: Meter,
  series: Series<ClosedLabels, 'histogram'>,
): Histogram =>
  meter.createHistogram(series.name, {
    ...optionsOf(series),
    ...(series.buckets && { advice: { explicitBucketBoundaries: [...series.buckets] } }),
  })

/** A gauge, to be observed in a callback. */
export const createGauge = (meter: Meter, series: Series<ClosedLabels, 'gauge'>): ObservableGauge =>
  meter.createObservableGauge(series.name, optionsOf(series))

/** A total that is kept elsewhere and observed in a callback. */
export const createObservableCounter = (
  meter: Meter,
  series: Series<ClosedLabels, 'observableCounter'>,
): ObservableCounter => meter.createObservableCounter(series.name, optionsOf(series))

const optionsOf = ({ description, unit }: Series): MetricOptions => ({
  description,
  ...(unit !== undefined && { unit }),
})

/** The last guard of the closed lists: whatever the compiler could not see is caught here, before it becomes a series. */
import type { Attributes } from '@opentelemetry/api'
import { type ClosedLabels, combinations, type LabelsOf, type Series } from './series.ts'

/** Called for a label value outside its list. The value itself is not passed on: it may come from a request. */
export type OnUnknownLabel = (series: string, label: string) => void

/**
 * Turns labels into the one attributes object of their combination. A value outside its list becomes `other` (`_OTHER`
 * where the conventions say so); so does the last label of a combination that cannot happen.
 */
export function labelLookup<L extends ClosedLabels>(
  series: Series<L>,
  onUnknown: OnUnknownLabel,
): (labels: LabelsOf<L>) => Attributes {
  const names = Object.keys(series.labels)
  const known = new Map<string, Attributes>()
  for (const row of combinations(series)) remember(known, names, row)
  const repair = (labels: Record<string, string>): Attributes => {
    const row = withinLists(series, names, labels, onUnknown)
    return known.get(keyOf(names, row)) ?? remember(known, names, row)
  }
  return (labels) => known.get(keyOf(names, labels)) ?? repair(labels)
}

function withinLists(
  { name: series, labels: lists }: Series,
  names: readonly string[],
  labels: Readonly<Record<string, string>>,
  onUnknown: OnUnknownLabel,
): Record<string, string> {
  const isListed = (name: string) => lists[name]?.includes(labels[name] as string) === true
  const strays = names.filter((name) => !isListed(name))
  // Each value is listed, but not this combination of them.
  if (strays.length === 0) strays.push(...names.slice(-1))
  const row = { ...labels }
  for (const name of strays) {
    row[name] = lists[name]?.includes('_OTHER') ? '_OTHER' : 'other'
    onUnknown(series, name)
  }
  return row
}

function remember(
  known: Map<string, Attributes>,
  names: readonly string[],
  row: Readonly<Record<string, string>>,
): Attributes {
  const attributes = Object.freeze(Object.fromEntries(names.map((name) => [name, row[name]])))
  known.set(keyOf(names, row), attributes)
  return attributes
}

/** No listed value holds a line break. */
function keyOf(names: readonly string[], labels: Readonly<Record<string, string>>): string {
  let key = ''
  for (const name of names) key += `${labels[name]}\n`
  return key
}

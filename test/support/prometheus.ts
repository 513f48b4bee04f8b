/** Reads Prometheus text back: one key for each series, labels in order. */
export type Samples = ReadonlyMap<string, number>

/** `name{a="1",b="2"}` -> value. */
export function parseSamples(text: string): Samples {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const end = line.lastIndexOf('}') + 1 || line.indexOf(' ')
    const [value] = line.slice(end + 1).split(' ', 1)
    samples.set(keyOf(line.slice(0, end)), Number(value))
  }
  return samples
}

/** A scrape has thousands of series, and the next one has the same. */
const keys = new Map<string, string>()

function keyOf(series: string): string {
  const known = keys.get(series)
  if (known !== undefined) return known
  const [, name = '', labels = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?$/.exec(series) ?? []
  const key = seriesKey(name, parseLabels(labels))
  keys.set(series, key)
  return key
}

export function seriesKey(name: string, labels: Record<string, string> = {}): string {
  const pairs = Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}="${value}"`)
  return pairs.length > 0 ? `${name}{${pairs.join(',')}}` : name
}

/** What moved between two readings: series -> difference, those that stood still left out. */
export function movedBetween(
  before: Samples,
  after: Samples,
  names: RegExp = /./,
): Record<string, number> {
  const moved: Record<string, number> = {}
  for (const [series, value] of after) {
    const difference = value - (before.get(series) ?? 0)
    if (difference !== 0 && names.test(series)) moved[series] = difference
  }
  return moved
}

function parseLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => [
      label,
      value,
    ]),
  )
}

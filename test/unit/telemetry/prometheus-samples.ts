/** Reads Prometheus text the way a scraper does, so that tests can compare samples instead of strings. */

/** `name{label="value",…}` with its labels sorted -> value. */
export type Samples = ReadonlyMap<string, number>

export function parseSamples(text: string): Samples {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (!match) throw new Error(`not a sample: ${line}`)
    const labels = [...(match[2] ?? '').matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g)]
    const key = sampleKey(
      match[1] ?? '',
      Object.fromEntries(labels.map(([, name, value]) => [name, value])),
    )
    if (samples.has(key)) throw new Error(`sample given twice: ${key}`)
    samples.set(key, match[3] === '+Inf' ? Number.POSITIVE_INFINITY : Number(match[3]))
  }
  return samples
}

export function sampleKey(name: string, labels: Record<string, unknown>): string {
  const pairs = Object.keys(labels)
    .sort()
    .map((label) => `${label}="${labels[label]}"`)
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`
}

/** What changed between two scrapes: key -> difference. New keys count from 0. */
export function changes(before: Samples, after: Samples): Record<string, number> {
  return Object.fromEntries(
    [...after]
      .map(([key, value]) => [key, value - (before.get(key) ?? 0)] as const)
      .filter(([key, difference]) => difference !== 0 || !before.has(key)),
  )
}

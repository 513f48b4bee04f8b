/** The shapes that catalogue entries are made of. A label's values are a closed list wherever we choose them. */

export type ClosedLabels = Readonly<Record<string, readonly string[]>>

/** One value for each label, drawn from its list. */
export type LabelsOf<L extends ClosedLabels> = { readonly [K in keyof L]: L[K][number] }

interface Definition<L extends ClosedLabels> {
  /** UCUM: `s`, `By`, `1`, or an annotation such as `{token}`. Left out where a suffix would lie (`..._info`). */
  readonly unit?: string
  readonly description: string
  /** Label name -> every value it can have. */
  readonly labels?: L
  /** The combinations that can really happen; all of them when left out. */
  readonly only?: readonly LabelsOf<L>[]
  /** Labels whose values come from our own build, schema or route table; never from a request. Name -> what it holds. */
  readonly openLabels?: Readonly<Record<string, string>>
}

export type InstrumentKind =
  | 'counter'
  | 'histogram'
  | 'gauge'
  | 'upDownCounter'
  | 'observableCounter'

export interface Series<
  L extends ClosedLabels = ClosedLabels,
  K extends InstrumentKind = InstrumentKind,
> extends Definition<L> {
  readonly kind: K
  /** Dotted OpenTelemetry name, without unit and without `_total`. */
  readonly name: string
  readonly labels: L
  /** Histograms only: upper bounds, in the unit. */
  readonly buckets?: readonly number[]
}

type NoLabels = Record<never, never>

function series<L extends ClosedLabels, K extends InstrumentKind>(
  kind: K,
  name: string,
  definition: Definition<L>,
): Series<L, K> {
  return { kind, name, ...definition, labels: definition.labels ?? ({} as L) }
}

/** A fact that has happened; summed over replicas. */
export const counter = <const L extends ClosedLabels = NoLabels>(
  name: string,
  definition: Definition<L>,
) => series('counter', name, definition)

/** How long (or how large) each of many events was. */
export const histogram = <const L extends ClosedLabels = NoLabels>(
  name: string,
  definition: Definition<L> & { readonly buckets: readonly number[] },
) => ({ ...series('histogram', name, definition), buckets: definition.buckets })

/** A question answered at each scrape; read with `max` over replicas when it is asked of the database. */
export const gauge = <const L extends ClosedLabels = NoLabels>(
  name: string,
  definition: Definition<L>,
) => series('gauge', name, definition)

/** A number of things going on in this process. */
export const upDownCounter = <const L extends ClosedLabels = NoLabels>(
  name: string,
  definition: Definition<L>,
) => series('upDownCounter', name, definition)

/** A total that the runtime keeps for us, read at each scrape. */
export const observableCounter = <const L extends ClosedLabels = NoLabels>(
  name: string,
  definition: Definition<L>,
) => series('observableCounter', name, definition)

/** Every combination of label values that can happen: `only` when given, else the product of the lists. */
export function combinations<L extends ClosedLabels>({ labels, only }: Series<L>): LabelsOf<L>[] {
  if (only) return [...only]
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (rows, [label, values]) =>
      rows.flatMap((row) => values.map((value) => ({ ...row, [label]: value }))),
    [{}],
  ) as LabelsOf<L>[]
}

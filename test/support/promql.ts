/**
 * Reads PromQL against the catalogue: whether each series and label of a query exists, whether counters are only read
 * through their rates, and which labels the answer has, so that a panel or an alert that can never show anything is found
 * without a Prometheus.
 */
import { parser } from '@prometheus-io/lezer-promql'
import { catalogue } from '#/telemetry/catalogue.ts'
import {
  prometheusLabel,
  prometheusSampleNames,
  prometheusType,
} from '#/telemetry/prometheus-name.ts'
import type { Series } from '#/telemetry/series.ts'

/** Label -> the values it can have; undefined where the list is open. */
export type Labels = ReadonlyMap<string, readonly string[] | undefined>

export interface KnownMetric {
  readonly labels: Labels
  /** Only ever read through `rate` and its like. */
  readonly counter: boolean
}
export type KnownMetrics = ReadonlyMap<string, KnownMetric>

export interface Finding {
  /** What is wrong, in words; empty when nothing is. */
  readonly problems: readonly string[]
  /** Labels of the answer; undefined for a plain number. */
  readonly labels: Labels | undefined
  /** Every selector that was read: its metric, and the job it asks for. */
  readonly selectors: readonly { readonly metric: string; readonly job: string | undefined }[]
}

/** The name that rules and dashboards know the server by. */
export const jobName = 'authgate'

const targetLabels: [string, readonly string[] | undefined][] = [
  ['job', [jobName]],
  ['instance', undefined],
]

/** Every series of the catalogue under its Prometheus names, and what Prometheus adds of its own. */
export function catalogueMetrics(): Map<string, KnownMetric> {
  const known = new Map<string, KnownMetric>([
    ['up', { labels: new Map(targetLabels), counter: false }],
    ['ALERTS', { labels: alertLabels(), counter: false }],
  ])
  for (const series of Object.values(catalogue) as readonly Series[]) {
    for (const name of prometheusSampleNames(series)) {
      const labels = new Map([...targetLabels, ...ownLabels(series)])
      if (name.endsWith('_bucket') && series.kind === 'histogram') labels.set('le', undefined)
      known.set(name, { labels, counter: prometheusType(series) !== 'gauge' })
    }
  }
  return known
}

const alertLabels = (): Labels =>
  new Map<string, readonly string[] | undefined>([
    ...targetLabels,
    ['alertname', undefined],
    ['alertstate', ['pending', 'firing']],
    ['severity', ['info', 'warning', 'critical']],
  ])

function ownLabels({ labels, openLabels = {} }: Series) {
  return [
    ...Object.entries(labels).map(([label, values]) => [prometheusLabel(label), values] as const),
    ...Object.keys(openLabels).map((label) => [prometheusLabel(label), undefined] as const),
  ]
}

/** A dashboard's query as Prometheus gets it. */
export const expandGrafana = (query: string): string =>
  query
    .replaceAll(/\$(__rate_interval|\{__rate_interval\})/g, '1m')
    .replaceAll(/\$(__range|\{__range\})/g, '6h')
    .replaceAll(/\$(__interval|\{__interval\})/g, '15s')
    .replaceAll(/\$(job|\{job\})/g, jobName)

/** Reads one query. */
export function readQuery(query: string, known: KnownMetrics): Finding {
  const reading: Reading = { query, known, problems: [], selectors: [] }
  const tree = parser.parse(query)
  tree.iterate({
    enter({ type, from }) {
      if (type.isError) reading.problems.push(`does not parse at "${query.slice(from, from + 20)}"`)
    },
  })
  const [expression] = childrenOf(tree.topNode)
  if (!expression || reading.problems.length > 0)
    return { problems: reading.problems, labels: undefined, selectors: [] }
  const labels = labelsOf(expression, reading)
  return { problems: reading.problems, labels, selectors: reading.selectors }
}

type Node = ReturnType<typeof parser.parse>['topNode']

interface Reading {
  readonly query: string
  readonly known: KnownMetrics
  readonly problems: string[]
  readonly selectors: { metric: string; job: string | undefined }[]
}

const rateFunctions = new Set(['rate', 'irate', 'increase'])
const anyFunctions = new Set(['resets', 'changes', 'absent_over_time', 'present_over_time'])

/** Undefined is a plain number. `within` is the function whose range vector this is. */
function labelsOf(node: Node, reading: Reading, within?: string): Labels | undefined {
  switch (node.name) {
    case 'NumberDurationLiteral':
    case 'StringLiteral':
      return undefined
    case 'VectorSelector':
      return selectorLabels(node, reading, within)
    case 'AggregateExpr':
      return aggregateLabels(node, reading)
    case 'FunctionCall':
      return functionLabels(node, reading)
    case 'BinaryExpr':
      return binaryLabels(node, reading)
    default: {
      const [inner] = expressionsOf(node)
      if (inner) return labelsOf(inner, reading, within)
      reading.problems.push(`${node.name} is not understood`)
      return undefined
    }
  }
}

function selectorLabels(node: Node, reading: Reading, within: string | undefined): Labels {
  const { query, known, problems } = reading
  const metric = textOf(childOf(node, 'Identifier'), query)
  const matchers = matchersOf(node, query)
  const job = matchers.find(({ label, operator }) => label === 'job' && operator === '=')?.value
  reading.selectors.push({ metric, job })
  const found = known.get(metric)
  if (!found) {
    problems.push(`${metric || query} is not a series of ours`)
    return new Map()
  }
  problems.push(...rangeProblems(metric, found.counter, within))
  for (const { label, operator, value } of matchers) {
    if (!found.labels.has(label)) problems.push(`${metric} has no label ${label}`)
    else problems.push(...valueProblems(metric, label, found.labels.get(label), operator, value))
  }
  return found.labels
}

function rangeProblems(metric: string, counter: boolean, within: string | undefined): string[] {
  if (within !== undefined && anyFunctions.has(within)) return []
  const rated = within !== undefined && rateFunctions.has(within)
  if (counter && !rated) return [`the counter ${metric} is read without a rate`]
  return !counter && rated ? [`${within} of ${metric}, which is not a counter`] : []
}

/** Each value that is asked for must be one that the label can have. */
function valueProblems(
  metric: string,
  label: string,
  values: readonly string[] | undefined,
  operator: string,
  asked: string,
): string[] {
  if (values === undefined || asked === '') return []
  const parts = operator.includes('~') && !asked.includes('(') ? asked.split('|') : [asked]
  return parts
    .filter((part) => {
      const pattern = new RegExp(`^(?:${operator.includes('~') ? part : RegExp.escape(part)})$`)
      return !values.some((value) => pattern.test(value))
    })
    .map((part) => `${metric} never has ${label}="${part}"`)
}

function aggregateLabels(node: Node, reading: Reading): Labels {
  const body = childOf(node, 'FunctionCallBody')
  const vector = body && expressionsOf(body).at(-1)
  const labels = vector ? labelsOf(vector, reading) : undefined
  const operator = textOf(childOf(node, 'AggregateOp'), reading.query)
  if (!labels) {
    reading.problems.push(`${operator} of a number`)
    return new Map()
  }
  if (['topk', 'bottomk', 'limitk', 'limit_ratio'].includes(operator)) return labels
  const modifier = childOf(node, 'AggregateModifier')
  if (!modifier) return new Map()
  const names = groupingOf(modifier, reading.query)
  reading.problems.push(
    ...missing(names, labels).map((name) => `${operator} by ${name}, which is not there`),
  )
  const kept = modifier.getChild('By')
    ? (name: string) => names.includes(name)
    : (name: string) => !names.includes(name)
  return new Map([...labels].filter(([name]) => kept(name)))
}

function functionLabels(node: Node, reading: Reading): Labels | undefined {
  const name = textOf(childOf(node, 'FunctionIdentifier'), reading.query)
  const body = childOf(node, 'FunctionCallBody')
  const args = body ? expressionsOf(body) : []
  if (name === 'vector') return new Map()
  const vectors = args
    .map((arg) => labelsOf(arg, reading, isRange(arg) ? name : undefined))
    .filter((labels) => labels !== undefined)
  const [labels = undefined] = vectors
  if (name === 'scalar' || !labels) return undefined
  if (name === 'absent' || name === 'absent_over_time') return absentLabels(args[0], reading)
  if (name === 'histogram_quantile') {
    if (!labels.has('le')) reading.problems.push('histogram_quantile without the label le')
    return new Map([...labels].filter(([label]) => label !== 'le'))
  }
  if (name === 'label_replace') return replacedLabels(args, labels, reading)
  return labels
}

const isRange = (node: Node) => node.name === 'MatrixSelector'

/** What is absent is known only by the values that were asked for. */
function absentLabels(node: Node | undefined, { query }: Reading): Labels {
  const matchers = node?.name === 'VectorSelector' ? matchersOf(node, query) : []
  return new Map(
    matchers
      .filter(({ operator }) => operator === '=')
      .map(({ label, value }) => [label, [value]] as const),
  )
}

function replacedLabels(
  args: readonly Node[],
  labels: Labels,
  { query, problems }: Reading,
): Labels {
  const [target = '', , source = ''] = args.slice(1).map((arg) => unquoted(textOf(arg, query)))
  if (!labels.has(source)) problems.push(`label_replace from ${source}, which is not there`)
  return new Map([...labels, [target, undefined]])
}

const setOperators = new Set(['And', 'Or', 'Unless'])

interface Matching {
  /** `And`, `Or`, `Unless`; undefined for arithmetic and comparison. */
  readonly setOperator: string | undefined
  /** Labels of `on` or `ignoring`. */
  readonly names: readonly string[]
  readonly on: boolean
  readonly groups: 'GroupLeft' | 'GroupRight' | undefined
}

function binaryLabels(node: Node, reading: Reading): Labels | undefined {
  const [left, right] = expressionsOf(node).map((side) => labelsOf(side, reading))
  if (!left || !right) return left ?? right
  const matching = matchingOf(node, reading.query)
  reading.problems.push(...matchingProblems(left, right, matching))
  return matchedLabels(left, right, matching)
}

function matchingOf(node: Node, query: string): Matching {
  const clause = childOf(node, 'MatchingModifierClause')
  return {
    setOperator: childrenOf(node).find(({ name }) => setOperators.has(name))?.name,
    names: clause ? groupingOf(clause, query) : [],
    on: clause?.getChild('On') != null,
    groups: (['GroupLeft', 'GroupRight'] as const).find((name) => clause?.getChild(name)),
  }
}

function matchingProblems(left: Labels, right: Labels, { setOperator, names, on }: Matching) {
  if (on) {
    // `or on () vector(0)` and its like have nothing to match on.
    const strays = [...missing(names, left), ...(right.size > 0 ? missing(names, right) : [])]
    return strays.map((name) => `on (${name}), which is not on both sides`)
  }
  const compared = (labels: Labels) => [...labels.keys()].filter((name) => !names.includes(name))
  const same = compared(left).sort().join() === compared(right).sort().join()
  return same || setOperator === 'Or'
    ? []
    : [`{${[...left.keys()]}} and {${[...right.keys()]}} never match`]
}

function matchedLabels(left: Labels, right: Labels, { setOperator, names, on, groups }: Matching) {
  if (setOperator === 'Or') return new Map([...right, ...left])
  if (groups === 'GroupRight') return right
  if (setOperator !== undefined || groups === 'GroupLeft') return left
  // One to one, only what was matched on is kept; without `on`, all but what was ignored.
  return new Map([...left].filter(([name]) => names.includes(name) === on))
}

interface Matcher {
  readonly label: string
  readonly operator: string
  readonly value: string
}

function matchersOf(selector: Node, query: string): Matcher[] {
  const matchers = childOf(selector, 'LabelMatchers')
  return (matchers ? childrenOf(matchers) : []).map((matcher) => ({
    label: textOf(childOf(matcher, 'LabelName'), query),
    operator: textOf(childOf(matcher, 'MatchOp'), query),
    value: unquoted(textOf(childOf(matcher, 'StringLiteral'), query)),
  }))
}

/** The first list of labels in the modifier: what is grouped or matched by. */
function groupingOf(modifier: Node, query: string): string[] {
  const grouping = childOf(modifier, 'GroupingLabels')
  return grouping ? childrenOf(grouping).map((label) => textOf(label, query)) : []
}

const missing = (names: readonly string[], labels: Labels) =>
  names.filter((name) => !labels.has(name))

const childOf = (node: Node, name: string): Node | undefined => node.getChild(name) ?? undefined

function childrenOf(node: Node): Node[] {
  const children: Node[] = []
  for (let child = node.firstChild; child; child = child.nextSibling) children.push(child)
  return children
}

const expressionsOf = (node: Node): Node[] => node.getChildren('Expr')

const textOf = (node: Node | undefined, query: string) =>
  node ? query.slice(node.from, node.to) : ''

const unquoted = (text: string) => text.slice(1, -1).replaceAll('\\\\', '\\')

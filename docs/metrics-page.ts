/**
 * Draws docs/METRICS.md from the catalogue, the dashboards and the rules, so that the page can say nothing that the
 * code does not do.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { catalogueGroups } from '#/telemetry/catalogue.ts'
import {
  prometheusLabel,
  prometheusName,
  prometheusSampleNames,
  prometheusType,
} from '#/telemetry/prometheus-name.ts'
import { combinations, type Series } from '#/telemetry/series.ts'

export interface Panel {
  readonly dashboard: string
  readonly title: string
  readonly description: string
  readonly queries: readonly string[]
}

export interface Rule {
  readonly kind: 'record' | 'alert'
  readonly name: string
  readonly query: string
  readonly summary: string
}

/** Everything that asks for series. */
export interface Uses {
  readonly panels: readonly Panel[]
  readonly rules: readonly Rule[]
}

const root = fileURLToPath(new URL('..', import.meta.url))

/** The page. */
export function renderMetricsPage({ uses = readUses(root) }: { uses?: Uses } = {}): string {
  const groups = Object.entries(catalogueGroups)
  const parts = [
    introduction(),
    ...groups.map(([title, group]) => renderGroup(title, Object.values(group), uses)),
    renderDashboards(uses.panels),
    renderRules('Recording rules', uses.rules, 'record'),
    renderRules('Alerts', uses.rules, 'alert'),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/** Reads the dashboards and rules of a checkout; what does not exist asks for nothing. */
export function readUses(checkout: string): Uses {
  return {
    panels: filesIn(join(checkout, 'grafana/dashboards'), '.json').flatMap((text) =>
      panelsOf(JSON.parse(text) as Dashboard),
    ),
    rules: filesIn(join(checkout, 'prometheus/rules'), '.yaml').flatMap((text) =>
      rulesOf(parse(text) as RuleFile),
    ),
  }
}

/** Names of whatever asks for the series itself, or for a recording rule that does. */
export function usersOf(
  series: Series,
  { panels, rules }: Uses,
): { panels: Panel[]; rules: Rule[] } {
  const names = new Set(prometheusSampleNames(series))
  const asks = (query: string) => query.split(/[^\w:]+/).some((word) => names.has(word))
  const asking = new Set<Rule>()
  for (let before = -1; asking.size > before; ) {
    before = asking.size
    for (const rule of rules.filter(({ query }) => asks(query))) {
      asking.add(rule)
      if (rule.kind === 'record') names.add(rule.name)
    }
  }
  return {
    panels: panels.filter(({ queries }) => queries.some(asks)),
    rules: rules.filter((rule) => asking.has(rule)),
  }
}

function introduction(): string {
  const all = Object.values(catalogueGroups).flatMap((group) => Object.values(group))
  const fixed = all.filter(({ kind }) => kind === 'counter' || kind === 'upDownCounter')
  const preset = fixed.reduce((sum, series) => sum + combinations(series).length, 0)
  return `# Metrics

<!-- Drawn by \`npm run docs\` from the catalogue, the dashboards and the rules; edit those instead. -->

Every series that this server exports, by scrape and by OTLP push alike: the names below are those that Prometheus
shows, the dotted ones are OpenTelemetry's. [MONITORING.md](MONITORING.md) says what to do with them.

Label values come from closed lists, never from a request: a value that is in no list is counted as \`other\` (an HTTP
method as \`_OTHER\`). All ${preset} combinations of the counters are there from the first scrape, at 0; histograms appear
with their first event. Besides these series, \`target_info\` carries the service's name, version and instance.`
}

const renderGroup = (title: string, series: readonly Series[], uses: Uses) =>
  [`## ${title}`, ...series.map((one) => renderSeries(one, uses))].join('\n\n')

function renderSeries(series: Series, uses: Uses): string {
  const unit = series.unit === undefined ? '' : `, unit \`${series.unit}\``
  const parts = [
    `### \`${prometheusName(series)}\``,
    series.description,
    `${capitalized(prometheusType(series))}; \`${series.name}\`${unit}${sampleNote(series)}.`,
    renderLabels(series),
    series.buckets ? `Buckets: ${series.buckets.map((bound) => `\`${bound}\``).join(', ')}.` : '',
    renderUsers(series, uses),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

const sampleNote = (series: Series) =>
  series.kind === 'histogram' ? '; samples `_bucket`, `_sum` and `_count`' : ''

function renderLabels(series: Series): string {
  const closed = Object.entries(series.labels).map(
    ([label, values]) =>
      `| \`${prometheusLabel(label)}\` | ${values.map((value) => `\`${value}\``).join(', ')} |`,
  )
  const open = Object.entries(series.openLabels ?? {}).map(
    ([label, meaning]) => `| \`${prometheusLabel(label)}\` | ${meaning} |`,
  )
  if (closed.length + open.length === 0) return ''
  const table = ['| label | values |', '|---|---|', ...closed, ...open].join('\n')
  if (!series.only) return table
  return `${table}\n\nOf these, ${combinations(series).length} combinations can happen.`
}

function renderUsers(series: Series, uses: Uses): string {
  const { panels, rules } = usersOf(series, uses)
  const lists: [string, string[]][] = [
    ['Panels', panels.map(({ dashboard, title }) => `${dashboard} / ${title}`)],
    ['Recording rules', rules.filter(isOf('record')).map(({ name }) => `\`${name}\``)],
    ['Alerts', rules.filter(isOf('alert')).map(({ name }) => `\`${name}\``)],
  ]
  return lists
    .filter(([, names]) => names.length > 0)
    .map(([kind, names]) => `${kind}: ${[...new Set(names)].join(', ')}.`)
    .join('\n\n')
}

function renderDashboards(panels: readonly Panel[]): string {
  const dashboards = [...new Set(panels.map(({ dashboard }) => dashboard))]
  if (dashboards.length === 0) return ''
  const renderPanel = ({ title, description, queries }: Panel) =>
    [`**${title}**${description ? `: ${description}` : ''}`, ...queries.map(fenced)].join('\n\n')
  const sections = dashboards.map((dashboard) =>
    [`### ${dashboard}`, ...panels.filter((p) => p.dashboard === dashboard).map(renderPanel)].join(
      '\n\n',
    ),
  )
  return ['## Dashboards', ...sections].join('\n\n')
}

function renderRules(title: string, rules: readonly Rule[], kind: Rule['kind']): string {
  const found = rules.filter(isOf(kind))
  if (found.length === 0) return ''
  const renderRule = ({ name, query, summary }: Rule) =>
    [`### \`${name}\``, summary, fenced(query)].filter((part) => part !== '').join('\n\n')
  return [`## ${title}`, ...found.map(renderRule)].join('\n\n')
}

const isOf = (kind: Rule['kind']) => (rule: Rule) => rule.kind === kind
const fenced = (query: string) => `\`\`\`promql\n${query.trim()}\n\`\`\``
const capitalized = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`

function filesIn(folder: string, ending: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'))
}

interface DashboardPanel {
  readonly title?: string
  readonly description?: string
  readonly targets?: readonly { readonly expr?: string }[]
  /** A row that was folded holds its panels. */
  readonly panels?: readonly DashboardPanel[]
}

interface Dashboard extends DashboardPanel {
  readonly title: string
}

function panelsOf(dashboard: Dashboard): Panel[] {
  const flat = (panels: readonly DashboardPanel[] = []): DashboardPanel[] =>
    panels.flatMap((panel) => [panel, ...flat(panel.panels)])
  return flat(dashboard.panels)
    .map(({ title = '', description = '', targets = [] }) => ({
      dashboard: dashboard.title,
      title,
      description,
      queries: targets.flatMap(({ expr }) => (expr === undefined ? [] : [expr])),
    }))
    .filter(({ queries }) => queries.length > 0)
}

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly record?: string
      readonly alert?: string
      readonly expr: string | number
      readonly annotations?: Readonly<Record<string, string>>
    }[]
  }[]
}

const rulesOf = ({ groups }: RuleFile): Rule[] =>
  groups.flatMap(({ rules }) =>
    rules.map(({ record, alert, expr, annotations }) => ({
      kind: record === undefined ? ('alert' as const) : ('record' as const),
      name: record ?? alert ?? '',
      query: String(expr),
      summary: annotations?.['summary'] ?? '',
    })),
  )

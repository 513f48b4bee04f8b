/**
 * Dashboards, rules, collector and compose file agree with the catalogue, the settings and one another: all that can be
 * known of them without Grafana and without a container engine.
 */
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { settings } from '#/config/config.ts'
import {
  catalogueMetrics,
  expandGrafana,
  jobName,
  type KnownMetric,
  type Labels,
  readQuery,
} from '../support/promql.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const readYaml = <T>(path: string) => parse(read(path)) as T
const filesIn = (directory: string) =>
  readdirSync(join(root, directory)).map((name) => `${directory}/${name}`)

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}
interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
}

const rules = filesIn('prometheus/rules').flatMap((path) =>
  readYaml<RuleFile>(path).groups.flatMap((group) => group.rules),
)
const recordings = rules.filter((rule) => rule.record !== undefined)
const alerts = rules.filter((rule) => rule.alert !== undefined)

/** The catalogue, and what the rules record, with the labels that follow from their queries. */
const known: Map<string, KnownMetric> = catalogueMetrics()
const isTotal = (name: string) => name.endsWith(':total')
const recordingProblems = new Map<string, readonly string[]>()
for (const { record = '', expr } of recordings) {
  const { problems, labels, selectors } = readQuery(expr, known)
  recordingProblems.set(record, [
    // A total that is recorded is a sum of totals; whoever reads it takes the rate.
    ...problems.filter((problem) => !(isTotal(record) && problem.endsWith('without a rate'))),
    ...otherJobs(selectors),
  ])
  known.set(record, { labels: labels ?? new Map(), counter: isTotal(record) })
}

/** A series of the catalogue without its job would be counted once more for every other job that has it. */
function otherJobs(selectors: readonly { metric: string; job: string | undefined }[]): string[] {
  return selectors
    .filter(({ metric, job }) => !metric.includes(':') && job !== jobName)
    .map(({ metric }) => `${metric} is read of every job`)
}

/** Labels that a text between double braces names. */
const namedLabels = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map(([, label = '']) => label)
const missingFrom = (labels: Labels | undefined, names: readonly string[]) =>
  names.filter((name) => labels?.has(name) !== true)

describe('recording rules', () => {
  for (const { record = '' } of recordings) {
    it(`${record} can be computed, of one job`, () => {
      expect(recordingProblems.get(record)).toEqual([])
    })
  }

  it('have one name each', () => {
    const names = recordings.map(({ record }) => record)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThan(0)
  })

  it('stand behind the rules of their own group that they read', () => {
    const groups = filesIn('prometheus/rules').flatMap((path) => readYaml<RuleFile>(path).groups)
    expect(groups.flatMap((group) => readTooEarly(group.rules))).toEqual([])
  })
})

/** Groups are computed side by side, so only what stands above in the same group is of the same moment. */
function readTooEarly(group: readonly Rule[]): string[] {
  return group.flatMap(({ record, expr }, index) => {
    const above = group.slice(0, index).map((rule) => rule.record)
    return readQuery(expr, known)
      .selectors.filter(({ metric }) => record !== undefined && metric.includes(':'))
      .filter(({ metric }) => !above.includes(metric))
      .map(({ metric }) => `${record} reads ${metric}`)
  })
}

describe('alerts', () => {
  const monitoring = read('docs/MONITORING.md')
  const anchors = [...monitoring.matchAll(/^#{2,4} (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

  for (const { alert = '', expr, labels = {}, annotations = {} } of alerts) {
    describe(alert, () => {
      const finding = readQuery(expr, known)

      it('can fire, of one job', () => {
        expect(finding.problems).toEqual([])
        expect(otherJobs(finding.selectors)).toEqual([])
      })

      it('says how bad it is, what it is and what to do', () => {
        expect(['critical', 'warning', 'info']).toContain(labels['severity'])
        expect(annotations['summary']).toBeTruthy()
        expect(annotations['description']).toBeTruthy()
        expect(annotations['runbook_url']).toBe(`docs/MONITORING.md#${alert.toLowerCase()}`)
        expect(anchors).toContain(alert.toLowerCase())
      })

      it('names only labels that it has', () => {
        const text = Object.values(annotations).join(' ')
        const names = namedLabels(text, /\$labels\.(\w+)/g)
        expect(missingFrom(finding.labels, names)).toEqual([])
      })
    })
  }

  it('are all that the runbook has sections for', () => {
    const sections = anchors.filter(
      (anchor) => anchor.startsWith('authgate') && !anchor.includes('-'),
    )
    expect(sections.sort()).toEqual(alerts.map(({ alert = '' }) => alert.toLowerCase()).sort())
  })
})

describe('tests of the rules', () => {
  interface RuleTests {
    readonly rule_files: readonly string[]
    readonly tests: readonly {
      readonly name: string
      readonly promql_expr_test?: readonly { readonly expr: string }[]
      readonly alert_rule_test?: readonly {
        readonly alertname: string
        readonly exp_alerts: readonly unknown[]
      }[]
    }[]
  }
  const tests = filesIn('prometheus/tests').flatMap((path) => readYaml<RuleTests>(path).tests)

  it('compute every recording rule', () => {
    const computed = tests.flatMap((test) => test.promql_expr_test ?? []).map(({ expr }) => expr)
    const untested = recordings.filter(
      ({ record = '' }) => !computed.some((expr) => expr.includes(record)),
    )
    expect(untested).toEqual([])
  })

  it('have for every alert a case that fires and one that never does', () => {
    const cases = (name: string | undefined) =>
      tests
        .map((test) => (test.alert_rule_test ?? []).filter(({ alertname }) => alertname === name))
        .filter((checks) => checks.length > 0)
    const untested = alerts.filter(({ alert }) => {
      const fires = cases(alert).some((checks) =>
        checks.some(({ exp_alerts }) => exp_alerts.length > 0),
      )
      const silent = cases(alert).some((checks) =>
        checks.every(({ exp_alerts }) => exp_alerts.length === 0),
      )
      return !fires || !silent
    })
    expect(untested.map(({ alert }) => alert)).toEqual([])
  })

  it('read the rule files that exist', () => {
    const named = filesIn('prometheus/tests').flatMap(
      (path) => readYaml<RuleTests>(path).rule_files,
    )
    for (const file of named) expect(existsSync(join(root, 'prometheus/tests', file))).toBe(true)
  })
})

interface Target {
  readonly refId: string
  readonly expr: string
  readonly legendFormat: string
  readonly datasource: { readonly uid: string }
}
interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: {
    readonly x: number
    readonly y: number
    readonly w: number
    readonly h: number
  }
  readonly datasource?: { readonly uid: string }
  readonly targets?: readonly Target[]
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly transformations?: readonly {
    readonly options: { readonly renameByName: Record<string, string> }
  }[]
}
interface Variable {
  readonly name: string
  readonly query: string | { readonly query: string }
  readonly current: { readonly value: string }
}
interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly Variable[] }
  readonly annotations: {
    readonly list: readonly { readonly name: string; readonly expr?: string }[]
  }
}

const dashboards = filesIn('grafana/dashboards').map((path) => JSON.parse(read(path)) as Dashboard)
const isRow = ({ type }: Panel) => type === 'row'

describe('dashboards', () => {
  it('are five, each under a uid and a title of its own', () => {
    expect(dashboards.map(({ uid }) => uid).sort()).toEqual([
      'authgate-health',
      'authgate-oauth',
      'authgate-overview',
      'authgate-populations',
      'authgate-sessions',
    ])
    expect(new Set(dashboards.map(({ title }) => title)).size).toBe(5)
  })

  for (const dashboard of dashboards) {
    describe(dashboard.title, () => {
      const { panels, templating } = dashboard
      const variable = (name: string) => templating.list.find((item) => item.name === name)

      it('asks the provisioned data source for the job of the rules, unless told otherwise', () => {
        const { datasources } = readYaml<{ datasources: { uid: string }[] }>(
          'grafana/provisioning/datasources/prometheus.yaml',
        )
        expect(datasources.map(({ uid }) => uid)).toContain(variable('datasource')?.current.value)
        expect(variable('job')?.current.value).toBe(jobName)
        const query = variable('job')?.query
        const [, listed = ''] =
          /^label_values\((\S+), job\)$/.exec(typeof query === 'object' ? query.query : '') ?? []
        expect(known.get(listed)?.labels.has('job')).toBe(true)
      })

      it('has panels with numbers of their own that do not cover each other', () => {
        const ids = panels.map(({ id }) => id)
        expect(new Set(ids).size).toBe(ids.length)
        const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
          expect(x + w).toBeLessThanOrEqual(24)
          return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`)
        })
        expect(new Set(cells).size).toBe(cells.length)
      })

      it('marks what its annotations ask for', () => {
        for (const { expr } of dashboard.annotations.list) {
          if (expr !== undefined) expect(readQuery(expandGrafana(expr), known).problems).toEqual([])
        }
      })

      for (const panel of panels.filter((item) => !isRow(item))) {
        describe(panel.title, () => {
          it('says what it shows, and in which unit', () => {
            expect(panel.description?.length ?? 0).toBeGreaterThan(20)
            expect(panel.datasource?.uid).toBe(`\${datasource}`)
            if (panel.type !== 'heatmap') expect(panel.fieldConfig?.defaults.unit).toBeTruthy()
          })

          const targets = panel.targets ?? []
          it('asks for something', () => {
            expect(targets.length).toBeGreaterThan(0)
            expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
          })
          for (const target of targets) {
            it(target.expr, () => {
              const { problems, labels, selectors } = readQuery(expandGrafana(target.expr), known)
              expect(problems).toEqual([])
              expect(selectors.filter(({ job }) => job !== jobName)).toEqual([])
              expect(target.datasource.uid).toBe(`\${datasource}`)
              const legend = namedLabels(target.legendFormat, /\{\{\s*(\w+)\s*\}\}/g)
              expect(missingFrom(labels, legend)).toEqual([])
              const columns = (panel.transformations ?? []).flatMap(({ options }) =>
                Object.keys(options.renameByName).filter((name) => name !== 'Value'),
              )
              expect(missingFrom(labels, columns)).toEqual([])
            })
          }
        })
      }
    })
  }
})

interface Service {
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile_inline?: string }
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly secrets?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, { readonly environment: string }>>
}

describe('compose.yaml', () => {
  const compose = readYaml<Compose>('compose.yaml')
  const services = Object.entries(compose.services)
  const service = (name: string) => compose.services[name] ?? {}
  const mounts = (name: string) =>
    (service(name).volumes ?? []).map((volume) => volume.split(':') as [string, string])

  it('has the server and all around it', () => {
    expect(Object.keys(compose.services).sort()).toEqual([
      'authgate',
      'grafana',
      'otel-collector',
      'postgres',
      'prometheus',
      'redis',
    ])
  })

  for (const [
    name,
    { image, build, healthcheck, ports = [], volumes = [], depends_on = {} },
  ] of services) {
    describe(name, () => {
      it('runs a pinned image', () => {
        const dockerfile =
          build?.dockerfile_inline ?? (build ? read(join(build.context, 'Dockerfile')) : '')
        const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base = '']) => base)
        const pinned = build ? bases : [image ?? '']
        expect(pinned.length).toBeGreaterThan(0)
        for (const base of pinned) expect(base).toMatch(/:v?\d+\.\d+(\.\d+)?(-\w+)?$/)
      })

      it('is asked whether it is well', () => {
        expect(healthcheck?.test.length ?? 0).toBeGreaterThan(1)
      })

      it('opens ports to this machine only', () => {
        for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
      })

      it('mounts what exists', () => {
        for (const [source = ''] of volumes.map((volume) => volume.split(':'))) {
          if (source.startsWith('.'))
            expect([source, existsSync(join(root, source))]).toEqual([source, true])
          else expect(Object.keys(compose.volumes)).toContain(source)
        }
      })

      it('waits for services that can be well', () => {
        for (const [other, { condition }] of Object.entries(depends_on)) {
          expect(condition).toBe('service_healthy')
          expect(compose.services[other]?.healthcheck).toBeDefined()
        }
      })
    })
  }

  it('gives the server settings that it knows', () => {
    const image = [...read('Dockerfile').matchAll(/^(?:ENV|) +([A-Z_]+)=/gm)].map(
      ([, name = '']) => name,
    )
    const names = [...Object.keys(service('authgate').environment ?? {}), ...image]
    const unknown = names.filter((name) => !(name in settings) && name !== 'NODE_ENV')
    expect(unknown).toEqual([])
    expect(names).toEqual(
      expect.arrayContaining([
        'SESSION_SECRET',
        'METRICS_TOKEN',
        'DATABASE_URL',
        'AUTHGATE_COMMIT',
      ]),
    )
  })

  it('refuses to start without its secrets', () => {
    const text = read('compose.yaml')
    for (const secret of [
      'SESSION_SECRET',
      'METRICS_TOKEN',
      'POSTGRES_PASSWORD',
      'GRAFANA_ADMIN_PASSWORD',
    ]) {
      expect(text).toMatch(new RegExp(`\\$\\{${secret}:\\?[^}]+\\}`))
      expect(text).not.toMatch(new RegExp(`\\$\\{${secret}(:-[^}]*)?\\}`))
    }
  })

  it('shows the server only as much of the disk as it needs', () => {
    const text = read('compose.yaml')
    expect(parse(text).services.authgate).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      volumes: ['authgate-data:/data'],
    })
    expect(read('Dockerfile')).toMatch(/^USER \d+:\d+$/m)
    expect(read('Dockerfile')).toMatch(/DATA_DIR=\/data\b/)
  })

  it('lets Prometheus scrape the exporter port with the token of the server', () => {
    const { scrape_configs, rule_files } = readYaml<{
      rule_files: string[]
      scrape_configs: {
        job_name: string
        authorization?: { credentials_file: string }
        static_configs: { targets: string[] }[]
      }[]
    }>('prometheus/prometheus.yaml')
    const targetsOf = (name: string) =>
      scrape_configs
        .find((job) => job.job_name === name)
        ?.static_configs.flatMap(({ targets }) => targets)
    expect(scrape_configs.map((job) => job.job_name)).toEqual([jobName, `${jobName}-otlp`])
    expect(targetsOf(jobName)).toEqual([
      `authgate:${settings.OTEL_EXPORTER_PROMETHEUS_PORT.default}`,
    ])
    const [secret = ''] = service('prometheus').secrets ?? []
    expect(compose.secrets[secret]?.environment).toBe('METRICS_TOKEN')
    expect(scrape_configs[0]?.authorization?.credentials_file).toBe(`/run/secrets/${secret}`)
    const mounted = mounts('prometheus').map(([source, target]) => [target, source] as const)
    const [, local = ''] = mounted.find(([target]) => target === '/etc/prometheus/rules') ?? []
    expect(
      rule_files.flatMap((pattern) => globSync(join(root, 'prometheus', pattern))).sort(),
    ).toEqual(
      readdirSync(join(root, local))
        .map((name) => join(root, local, name))
        .sort(),
    )
  })

  it('gives Grafana its data source and dashboards where it looks for them', () => {
    const [provider] = readYaml<{ providers: { options: { path: string } }[] }>(
      'grafana/provisioning/dashboards/authgate.yaml',
    ).providers
    const targets = new Map(mounts('grafana').map(([source, target]) => [target, source]))
    expect(targets.get(provider?.options.path ?? '')).toBe('./grafana/dashboards')
    const home = service('grafana').environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? ''
    expect(home.startsWith(`${provider?.options.path}/`)).toBe(true)
    expect(
      existsSync(join(root, home.replace(`${provider?.options.path}`, 'grafana/dashboards'))),
    ).toBe(true)
    const { datasources } = readYaml<{ datasources: { url: string }[] }>(
      'grafana/provisioning/datasources/prometheus.yaml',
    )
    expect(datasources.map(({ url }) => url)).toEqual(['http://prometheus:9090'])
  })
})

describe('the collector', () => {
  interface Collector {
    readonly receivers: {
      readonly otlp: { readonly protocols: { readonly http: { readonly endpoint: string } } }
    }
    readonly exporters: {
      readonly prometheus: { readonly endpoint: string; readonly metric_expiration: string }
    }
    readonly processors: { readonly memory_limiter: { readonly limit_mib: number } }
    readonly extensions: { readonly health_check: { readonly endpoint: string } }
    readonly service: {
      readonly extensions: readonly string[]
      readonly pipelines: Readonly<
        Record<
          string,
          Readonly<Record<'receivers' | 'processors' | 'exporters', readonly string[]>>
        >
      >
    }
  }
  const config = readYaml<Collector>('otel-collector/config.yaml')
  const { services } = readYaml<Compose>('compose.yaml')
  const portOf = (endpoint: string) => endpoint.split(':').at(-1)

  it('forgets a series after twice the push interval', () => {
    const interval = Number(services['authgate']?.environment?.['OTEL_METRIC_EXPORT_INTERVAL'])
    expect(config.exporters.prometheus.metric_expiration).toBe(`${(2 * interval) / 1000}s`)
  })

  it('listens where the server pushes, Prometheus scrapes and the health check asks', () => {
    const pushed = services['authgate']?.environment?.['OTEL_EXPORTER_OTLP_ENDPOINT']
    expect(pushed).toBe(
      `http://otel-collector:${portOf(config.receivers.otlp.protocols.http.endpoint)}`,
    )
    expect(read('prometheus/prometheus.yaml')).toContain(
      `otel-collector:${portOf(config.exporters.prometheus.endpoint)}`,
    )
    expect(services['otel-collector']?.healthcheck?.test.join(' ')).toContain(
      `:${portOf(config.extensions.health_check.endpoint)}/`,
    )
  })

  it('uses in its pipelines what it defines, the memory limiter first', () => {
    for (const pipeline of Object.values(config.service.pipelines)) {
      for (const part of ['receivers', 'processors', 'exporters'] as const) {
        for (const name of pipeline[part]) expect(Object.keys(config[part])).toContain(name)
      }
      expect(pipeline.processors[0]).toBe('memory_limiter')
    }
    expect(config.service.extensions).toEqual(Object.keys(config.extensions))
  })
})

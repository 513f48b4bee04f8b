import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { catalogue, catalogueGroups } from '#/telemetry/catalogue.ts'
import { prometheusLabel, prometheusName } from '#/telemetry/prometheus-name.ts'
import { readUses, renderMetricsPage, type Uses, usersOf } from '../../../docs/metrics-page.ts'

const uses: Uses = {
  panels: [
    {
      dashboard: 'Overview',
      title: 'Signed in now',
      description: 'Live browser sessions.',
      queries: ['authgate:sessions_active:max'],
    },
    {
      dashboard: 'Overview',
      title: 'Latency',
      description: '',
      queries: ['histogram_quantile(0.95, rate(http_server_request_duration_seconds_bucket[5m]))'],
    },
  ],
  rules: [
    {
      kind: 'record',
      name: 'authgate:sessions_active:max',
      query: 'max(sessions_active{job="authgate"})',
      summary: '',
    },
    {
      kind: 'alert',
      name: 'SessionsFell',
      query: 'delta(authgate:sessions_active:max[10m]) < -100',
      summary: 'Many sessions ended at once.',
    },
  ],
}

/** The part of the page that is about one series. */
const sectionOf = (page: string, name: string) =>
  page.split(/^#{2,3} /m).find((section) => section.startsWith(`\`${name}\`\n`)) ?? ''

describe('the page', () => {
  const page = renderMetricsPage({ uses })

  it('has every series once, with its meaning, its OpenTelemetry name and every label value', () => {
    for (const series of Object.values(catalogue)) {
      const name = prometheusName(series)
      expect(page.split(`### \`${name}\`\n`)).toHaveLength(2)
      const section = sectionOf(page, name)
      expect(section).toContain(series.description)
      expect(section).toContain(`\`${series.name}\``)
      for (const [label, values] of Object.entries<readonly string[]>(series.labels)) {
        expect(section).toContain(`| \`${prometheusLabel(label)}\` |`)
        for (const value of values) expect(section).toContain(`\`${value}\``)
      }
    }
  })

  it('has every bucket of a histogram', () => {
    expect(sectionOf(page, 'session_duration_seconds')).toContain('`60`, `300`, `900`')
  })

  it('names the panels, rules and alerts that use a series, through recording rules too', () => {
    const section = sectionOf(page, 'sessions_active')
    expect(section).toContain('Panels: Overview / Signed in now.')
    expect(section).toContain('Recording rules: `authgate:sessions_active:max`.')
    expect(section).toContain('Alerts: `SessionsFell`.')
    expect(sectionOf(page, 'http_server_request_duration_seconds')).toContain('Overview / Latency')
    expect(sectionOf(page, 'sessions_created_total')).not.toContain('Overview')
  })

  it('has every query of a dashboard and every rule', () => {
    for (const query of [
      ...uses.panels.flatMap((p) => p.queries),
      ...uses.rules.map((r) => r.query),
    ])
      expect(page).toContain(query)
    expect(page).toContain('Many sessions ended at once.')
  })

  it('has no blank headings and ends with one line break', () => {
    expect(page).not.toMatch(/^#+ *$/m)
    expect(page).toMatch(/[^\n]\n$/)
    expect(page).not.toContain('undefined')
  })
})

it('a name that is part of another is not a use of it', () => {
  const longer: Uses = {
    panels: [{ dashboard: 'x', title: 'y', description: '', queries: ['sessions_active_more'] }],
    rules: [],
  }
  expect(usersOf(catalogue.sessionsActive, longer)).toEqual({ panels: [], rules: [] })
})

it('dashboards with folded rows and rule files are read from a checkout', () => {
  const checkout = mkdtempSync(join(tmpdir(), 'metrics-page-'))
  mkdirSync(join(checkout, 'grafana/dashboards'), { recursive: true })
  mkdirSync(join(checkout, 'prometheus/rules'), { recursive: true })
  const row = { title: 'Row', panels: [{ title: 'Inner', targets: [{ expr: 'sessions_active' }] }] }
  writeFileSync(
    join(checkout, 'grafana/dashboards/one.json'),
    JSON.stringify({ title: 'One', panels: [row, { title: 'Text' }] }),
  )
  writeFileSync(
    join(checkout, 'prometheus/rules/all.yaml'),
    'groups:\n  - name: a\n    rules:\n      - alert: A\n        expr: sessions_active > 1\n        annotations: { summary: S }\n',
  )
  expect(readUses(checkout)).toEqual({
    panels: [{ dashboard: 'One', title: 'Inner', description: '', queries: ['sessions_active'] }],
    rules: [{ kind: 'alert', name: 'A', query: 'sessions_active > 1', summary: 'S' }],
  })
  rmSync(checkout, { recursive: true })
})

it('every series of the catalogue belongs to exactly one group', () => {
  const grouped = Object.values(catalogueGroups).flatMap((group) => Object.keys(group))
  expect(grouped.sort()).toEqual(Object.keys(catalogue).sort())
})

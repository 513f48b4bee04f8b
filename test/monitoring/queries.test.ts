/**
 * A real Prometheus scrapes the demo, and every query of every dashboard and rule is put to it: names, labels and shapes
 * are right when data comes back, and only then.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { parse } from 'yaml'
import { freePort } from '../support/ports.ts'
import { nodePath } from '../support/process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const inRoot = (path: string) => join(root, path)

interface Query {
  readonly where: string
  readonly expr: string
}

/** What a healthy demo leaves empty, and why. Everything else must answer. */
const mayBeEmpty: readonly { readonly what: (query: Query) => boolean; readonly why: string }[] = [
  { what: ({ where }) => where.startsWith('alert '), why: 'nothing is wrong' },
  { what: ({ expr }) => /sessions_ledger/.test(expr), why: 'it compares with an hour ago' },
  {
    what: ({ expr }) => /external_api|upstream|oauth_callback/.test(expr),
    why: 'the demo has no provider and checks its passwords itself',
  },
]

interface Dashboard {
  readonly title: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; query?: unknown }[] }
}
interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
  readonly panels?: readonly Panel[]
}

const variables: Readonly<Record<string, string>> = {
  job: 'authgate',
  __rate_interval: '1m',
  __interval: '15s',
  __range: '5m',
}

const substitute = (expr: string) =>
  expr.replace(/\$\{?(\w+)(?::\w+)?\}?/g, (_, name: string) => {
    const value = variables[name]
    if (value === undefined) throw new Error(`what stands for $${name} in ${expr}?`)
    return value
  })

function dashboardQueries(): Query[] {
  const directory = inRoot('grafana/dashboards')
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const { title, panels } = JSON.parse(readFileSync(join(directory, file), 'utf8')) as Dashboard
      const flat = panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
      return flat.flatMap((panel) =>
        (panel.targets ?? []).map(({ expr }) => ({
          where: `${title} / ${panel.title}`,
          expr: substitute(expr),
        })),
      )
    })
}

interface RuleFile {
  groups: { rules: { record?: string; alert?: string; expr: string }[] }[]
}

function ruleQueries(): Query[] {
  const directory = inRoot('prometheus/rules')
  return readdirSync(directory).flatMap((file) =>
    (parse(readFileSync(join(directory, file), 'utf8')) as RuleFile).groups
      .flatMap(({ rules }) => rules)
      .map(({ record, alert, expr }) => ({
        where: alert === undefined ? `rule ${record}` : `alert ${alert}`,
        // What a rule has recorded is what dashboards read; the alert's own expression is evaluated as it stands.
        expr: record ?? expr,
      })),
  )
}

const directory = mkdtempSync(join(tmpdir(), 'authgate-prometheus-'))
const children: ChildProcess[] = []
let prometheus: string
let demo: { exited: Promise<number | null>; output: () => string; child: ChildProcess }

beforeAll(async () => {
  const [port, exporter, web] = [await freePort(), await freePort(), await freePort()]
  const settings = { PORT: String(port), OTEL_EXPORTER_PROMETHEUS_PORT: String(exporter) }
  demo = run(nodePath, [inRoot('bench/demo.ts'), '--seconds', '0'], settings)
  const config = join(directory, 'prometheus.yaml')
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [inRoot('prometheus/rules/*.yaml')],
      scrape_configs: [
        { job_name: 'authgate', static_configs: [{ targets: [`127.0.0.1:${exporter}`] }] },
      ],
    }),
  )
  prometheus = `http://127.0.0.1:${web}`
  run('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(directory, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${web}`,
    '--log.level=error',
  ])
  await vi.waitFor(
    async () => {
      if ((await ask('up{job="authgate"} == 1')).length === 0) throw new Error(demo.output())
    },
    { timeout: 90_000, interval: 500 },
  )
})

afterAll(async () => {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const closed = new Promise((resolve) => child.once('close', resolve))
      child.kill('SIGKILL')
      await closed
    }),
  )
  rmSync(directory, { recursive: true, force: true })
})

function run(command: string, args: string[], settings: Record<string, string> = {}) {
  const { PATH = '', HOME = '/' } = process.env
  const child = spawn(command, args, { cwd: root, env: { PATH, HOME, ...settings } })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { child, exited, output: () => output }
}

/** The series that an expression yields; NaN is no data. */
async function ask(expr: string): Promise<unknown[]> {
  const url = `${prometheus}/api/v1/query?${new URLSearchParams({ query: expr })}`
  const { status, data, error } = (await (await fetch(url)).json()) as {
    status: string
    error?: string
    data: { result: { value: [number, string] }[] }
  }
  if (status !== 'success') throw new Error(`${error}: ${expr}`)
  return data.result.filter(({ value: [, text] }) => text !== 'NaN')
}

it('every query of every dashboard and rule returns data within a minute and a half of the demo', async () => {
  const queries = [...dashboardQueries(), ...ruleQueries()]
  expect(queries.length).toBeGreaterThan(50)
  const excused = (query: Query) => mayBeEmpty.some(({ what }) => what(query))
  let empty = queries
  const look = async () => {
    const answers = await Promise.all(
      empty.map(async (query) => ({ query, n: await ask(query.expr) })),
    )
    empty = answers.filter(({ n }) => n.length === 0).map(({ query }) => query)
    return empty.filter((query) => !excused(query)).map(({ where, expr }) => `${where}: ${expr}`)
  }
  await expect.poll(look, { timeout: 90_000, interval: 3000 }).toEqual([])
  console.info(
    `${queries.length} queries, ${empty.length} of them empty for a known reason:\n${empty.map(({ where }) => `  ${where}`).join('\n')}`,
  )
})

it('Prometheus evaluates every rule without an error', async () => {
  const answer = await fetch(`${prometheus}/api/v1/rules`)
  const { data } = (await answer.json()) as {
    data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] }
  }
  const rules = data.groups.flatMap((group) => group.rules)
  expect(rules.length).toBe(ruleQueries().length)
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([])
})

it('the demo ends by itself when it is asked to', async () => {
  demo.child.kill('SIGINT')
  expect(await demo.exited, demo.output()).toBe(0)
})

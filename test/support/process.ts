/** The real server as a process of its own: started, asked, drained, killed and started again, as an operator would. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fillDataDirectory } from './data-directory.ts'
import { administer, withDatabase } from './database-template.ts'
import { freePort } from './ports.ts'
import { parseSamples, type Samples } from './prometheus.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const nodePath = join(root, 'node_modules/.bin/node')
export const mainPath = join(root, 'src/main.ts')

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

interface Credentials {
  readonly username: string
  readonly password: string
  readonly clientId: string
}

export interface ServerProcess {
  readonly pid: number
  /** BASE_URL, the issuer. */
  readonly url: string
  readonly metricsUrl: string
  readonly exited: Promise<Exit>
  /** As `TestApp.request`, so that the browser and the flow of the other tests walk here as well. */
  request(path: string, init?: RequestInit & { ip?: string }): Promise<Response>
  /** Every series and its value; population gauges are counted afresh unless a test sets a TTL. */
  samples(): Promise<Samples>
  output(): string
  /** Sends SIGTERM and waits. */
  stop(): Promise<Exit>
  /** Sends SIGKILL and waits. */
  kill(): Promise<Exit>
}

/** What outlives a process: a data directory, or a database of its own on the Postgres of TEST_DATABASE_URL. */
export interface Home {
  readonly dataDir: string
  readonly databaseUrl: string | undefined
  readonly settings: Readonly<Record<string, string>>
  /** What the first start has written. */
  credentials(): Credentials
  /** Resolves when it listens. Without ports in the settings: the same free ones at each start. */
  start(settings?: Record<string, string>): Promise<ServerProcess>
  /** A further process on free ports of its own. */
  startAnother(settings?: Record<string, string>): Promise<ServerProcess>
  /** For starts that are expected to fail. */
  run(settings?: Record<string, string>): Promise<Exit>
  /** Ends what still runs and leaves nothing behind. */
  remove(): Promise<void>
}

/** A third of what a start costs is the compiling of what the start before compiled. */
const compileCache = join(root, 'node_modules/.cache/compile')

const systemSecret = 'system test secret of at least 32 characters'

/** Of the tests' operator: the one that a first start makes up has to be changed at once. */
const operatorPassword = 'chosen by the operator of the tests'

const defaults = {
  DEFAULT_ADMIN_PASSWORD: operatorPassword,
  ENABLE_RATE_LIMIT: 'false',
  METRICS_POPULATION_TTL: '0s',
}

/** `fresh` leaves the making of the embedded database to the first start. */
export async function createHome({ fresh = false } = {}): Promise<Home> {
  const directory = mkdtempSync(join(tmpdir(), 'authgate-system-'))
  const database = await createDatabase()
  const dataDir = join(directory, 'data')
  if (!database && !fresh) await fillDataDirectory(dataDir)
  const running = new Set<ChildProcess>()
  const settings = {
    ...defaults,
    ...(await freePorts()),
    DATA_DIR: dataDir,
    ...(database && { DATABASE_URL: database.url, SESSION_SECRET: systemSecret }),
  }
  // A directory of its own to stand in: no .env of this checkout is read.
  const launch = (more: Record<string, string>) =>
    runNode([mainPath], { cwd: directory, settings: { ...settings, ...more }, running })
  const start = async (more: Record<string, string> = {}) =>
    connect(launch(more), { ...settings, ...more })
  return {
    dataDir,
    databaseUrl: database?.url,
    settings,
    credentials: () => readCredentials(dataDir),
    start,
    startAnother: async (more = {}) => start({ ...(await freePorts()), ...more }),
    run: (more = {}) => launch(more).exited,
    async remove() {
      await Promise.all([...running].map(endProcess))
      await database?.drop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Runs node with these arguments and settings, and no other environment. */
export function runNode(
  args: readonly string[],
  {
    cwd = tmpdir(),
    settings = {},
    running,
  }: { cwd?: string; settings?: Record<string, string>; running?: Set<ChildProcess> } = {},
) {
  const { PATH = '', HOME = '/' } = process.env
  const env = { PATH, HOME, NODE_COMPILE_CACHE: compileCache, ...settings }
  const child = spawn(nodePath, [...args], { cwd, env })
  running?.add(child)
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text
    })
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      running?.delete(child)
      resolve({ code, signal, ...output })
    })
  })
  return { child, output, exited }
}

type Launched = ReturnType<typeof runNode>

async function connect(
  launched: Launched,
  settings: Record<string, string>,
): Promise<ServerProcess> {
  const { child, output, exited } = launched
  await untilListening(launched)
  const url = settings['BASE_URL'] ?? `http://localhost:${settings['PORT']}`
  // Tests name routes; what a server says has its path already.
  const basePath = new URL(url).pathname.replace(/\/$/, '')
  const metricsUrl = `http://127.0.0.1:${settings['OTEL_EXPORTER_PROMETHEUS_PORT']}/metrics`
  const token = settings['METRICS_TOKEN']
  const send = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exited
  }
  return {
    pid: child.pid ?? 0,
    url,
    metricsUrl,
    exited,
    request: (path, { ip: _, ...init } = {}) =>
      fetch(new URL(path.startsWith(`${basePath}/`) ? path : basePath + path, url), {
        redirect: 'manual',
        ...init,
      }),
    async samples() {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const response = await fetch(metricsUrl, { headers })
      if (response.status !== 200) throw new Error(`the scrape answered ${response.status}`)
      return parseSamples(await response.text())
    },
    output: () => output.stdout + output.stderr,
    stop: () => send('SIGTERM'),
    kill: () => send('SIGKILL'),
  }
}

/** A start takes seconds; on a machine that is busy with other tests, many. */
const startTimeoutMs = 100_000

/** The banner comes after all ports are open. */
function untilListening({ child, output, exited }: Launched): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = () => /^ {2}Sign in /m.test(output.stdout) && resolve()
  const fail = (what: string) => reject(new Error(`${what}:\n${output.stdout}${output.stderr}`))
  const timer = setTimeout(fail, startTimeoutMs, 'the server did not start in time')
  child.stdout?.on('data', look)
  void exited.then(() => fail('the server ended before it listened'))
  return promise.finally(() => {
    clearTimeout(timer)
    child.stdout?.off('data', look)
  })
}

async function endProcess(child: ChildProcess) {
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGKILL')
  await closed
}

const freePorts = async () => ({
  PORT: String(await freePort()),
  OTEL_EXPORTER_PROMETHEUS_PORT: String(await freePort()),
})

async function createDatabase() {
  const server = process.env['TEST_DATABASE_URL']
  if (server === undefined) return undefined
  const name = `authgate_system_${crypto.randomUUID().replaceAll('-', '')}`
  await administer(server, `create database ${name}`)
  return {
    url: withDatabase(server, name),
    drop: () => administer(server, `drop database ${name} with (force)`),
  }
}

function readCredentials(dataDir: string): Credentials {
  const text = readFileSync(join(dataDir, 'authgate-credentials.txt'), 'utf8')
  const lines = new Map(text.split('\n').map((line) => [line.split('=', 1)[0], line]))
  const value = (name: string) => lines.get(name)?.slice(name.length + 1) ?? ''
  return {
    username: value('username'),
    password: value('password') || operatorPassword,
    clientId: value('client_id'),
  }
}

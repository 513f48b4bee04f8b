/** The real server as a child process, on free ports of this machine, with a directory of its own. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

interface Credentials {
  readonly username: string
  readonly password: string
  readonly clientId: string
}

export interface ServerProcess {
  readonly origin: string
  readonly metricsUrl: string
  readonly pid: number
  /** What the first start on an empty database has kept. */
  credentials(): Credentials
  /** Whether it has ended, by itself or by `stop`. */
  ended(): boolean
  /** The last lines it wrote. */
  output(): string
  /** SIGTERM, and SIGKILL where that is not heard; then the directory goes. */
  stop(): Promise<void>
}

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const startWithinMs = 60_000
const stopWithinMs = 15_000

/** `settings` go into an otherwise empty environment, so that no setting of the shell or a .env file gets in. */
export async function startServer(
  settings: Readonly<Record<string, string>>,
  before: readonly string[] = [],
): Promise<ServerProcess> {
  const metricsPort = settings['OTEL_EXPORTER_PROMETHEUS_PORT'] ?? String(await freePort())
  const password = randomBytes(15).toString('base64url')
  const started = await startNode({
    entry: main,
    before,
    readyPath: '/readyz',
    settings: {
      LOG_LEVEL: 'warn',
      // One that the server made up would have to be changed first.
      DEFAULT_ADMIN_PASSWORD: password,
      ...settings,
      OTEL_EXPORTER_PROMETHEUS_PORT: metricsPort,
    },
  })
  return {
    ...started,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    credentials: () => ({ ...readCredentials(started.dataDir), password }),
  }
}

export interface NodeProgram {
  readonly entry: string
  /** What starts Node.js, such as `taskset`, when it does not start by itself. */
  readonly before: readonly string[]
  readonly settings: Readonly<Record<string, string>>
  /** Answers 200 once it is ready. */
  readonly readyPath: string
}

/** A program that listens on HOST and PORT. */
export async function startNode({ entry, before, settings, readyPath }: NodeProgram) {
  const dataDir = mkdtempSync(join(tmpdir(), 'authgate-'))
  const port = settings['PORT'] ?? String(await freePort())
  const origin = `http://127.0.0.1:${port}`
  const [command = process.execPath, ...rest] = [...before, process.execPath, entry]
  const child = spawn(command, rest, {
    cwd: dataDir,
    // A group of its own: Ctrl-C is for us to hear first.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOST: '127.0.0.1',
      BASE_URL: origin,
      DATA_DIR: dataDir,
      ...settings,
      PORT: port,
    },
  })
  const lines = keepLastLines(child.stdout, child.stderr)
  const gone = once(child, 'exit')
  const ended = () => child.exitCode !== null || child.signalCode !== null
  const discard = () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 })
  const endWithUs = () => {
    child.kill('SIGKILL')
    discard()
  }
  process.once('exit', endWithUs)
  const stop = async () => {
    running.delete(stop)
    if (!ended()) {
      child.kill('SIGTERM')
      await Promise.race([gone, sleep(stopWithinMs, undefined, { ref: false })])
      if (!ended()) child.kill('SIGKILL')
      await gone
    }
    process.off('exit', endWithUs)
    discard()
  }
  running.add(stop)
  try {
    await untilReady(`${origin}${readyPath}`, ended)
    return { origin, dataDir, pid: child.pid ?? 0, ended, output: lines, stop }
  } catch (error) {
    await stop()
    throw new Error(`the server did not start:\n${lines()}`, { cause: error })
  }
}

const running = new Set<() => Promise<void>>()

/** Stops every server that still runs, for an end before the end. */
export async function stopServers(): Promise<void> {
  await Promise.allSettled([...running].map((stop) => stop()))
}

/** The preferred port when nobody listens there, any free one otherwise. */
export async function freePort(preferred = 0): Promise<number> {
  const probe = createServer()
  const listening = new Promise<boolean>((resolve) => {
    probe.once('listening', () => resolve(true))
    probe.once('error', () => resolve(false))
  })
  probe.listen(preferred, '127.0.0.1')
  if (!(await listening)) return freePort()
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address ? address.port : preferred
}

async function untilReady(url: string, ended: () => boolean) {
  const deadline = performance.now() + startWithinMs
  while (performance.now() < deadline && !ended()) {
    const ready = await fetch(url).catch(() => undefined)
    await ready?.arrayBuffer()
    if (ready?.status === 200) return
    await sleep(50)
  }
  throw new Error(ended() ? 'it ended' : 'it was not ready in time')
}

function readCredentials(dataDir: string): Omit<Credentials, 'password'> {
  const text = readFileSync(join(dataDir, 'authgate-credentials.txt'), 'utf8')
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  return {
    username: value('username'),
    clientId: value('client_id'),
  }
}

function keepLastLines(...streams: readonly NodeJS.ReadableStream[]): () => string {
  let kept = ''
  for (const stream of streams) {
    stream.on('data', (chunk: Buffer) => {
      kept = (kept + chunk.toString('utf8')).slice(-8000)
    })
  }
  return () => kept.split('\n').slice(-30).join('\n')
}

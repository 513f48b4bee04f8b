/** The real server, several times, each on ports of its own that it keeps through all its lives. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../support/ports.ts'
import { mainPath, nodePath } from '../../support/process.ts'
import { parseSamples, type Samples } from '../../support/prometheus.ts'
import { servicesDirectory } from '../../support/services.ts'
import { type Books, count, find } from './books.ts'

export interface Replica {
  readonly port: number
  readonly logFile: string
  /** `service.instance.id` of each life, and when it was killed, if it was. */
  readonly lives: { readonly instance: string; killedAt?: number }[]
  ready(): Promise<boolean>
  /** Until it is ready; a start that fails for want of a database is tried again. */
  start(): Promise<void>
  /** SIGTERM; it has to end by itself, with code 0. */
  replace(): Promise<void>
  /** SIGKILL, at once. */
  kill(): Promise<void>
  stop(): Promise<void>
  samples(): Promise<Samples>
}

/** A drain of requests, sweeper and telemetry, each with a bound of its own. */
const stopWithinMs = 40_000
const startWithinMs = 180_000

export async function createReplica(
  books: Books,
  name: string,
  settings: Readonly<Record<string, string>>,
): Promise<Replica> {
  const directory = join(servicesDirectory(), name)
  mkdirSync(directory)
  const logFile = join(directory, 'log')
  const [port, metricsPort] = [await freePort(), await freePort()]
  const lives: Replica['lives'] = []
  let child: ChildProcess | undefined
  let asked = false

  const launch = () => {
    asked = false
    const instance = crypto.randomUUID()
    lives.push({ instance })
    const log = openSync(logFile, 'a')
    const { PATH = '' } = process.env
    const launched = spawn(nodePath, [mainPath], {
      cwd: directory,
      stdio: ['ignore', log, log],
      env: {
        PATH,
        ...settings,
        DATA_DIR: directory,
        PORT: String(port),
        OTEL_EXPORTER_PROMETHEUS_PORT: String(metricsPort),
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${instance}`,
      },
    })
    child = launched
    return { launched, started: { ready: false } }
  }
  const noticeExit = ({ launched, started }: ReturnType<typeof launch>) =>
    launched.once('exit', (code, signal) => {
      if (asked) return
      // A start that cannot succeed may end the process; nothing else may.
      if (!started.ready) count(books.deeds, 'starts that failed')
      else {
        noteKilled()
        find(books, 'crashes', `${name} ended by itself (${signal ?? code}):\n${lastLines()}`)
        // As whatever looks after processes would.
        void inTurn(start)
      }
    })
  const noteKilled = () => {
    const life = lives.at(-1)
    if (life) life.killedAt = Date.now()
  }
  const lastLines = () => readFileSync(logFile, 'utf8').slice(-3000)
  const ended = () => child === undefined || child.exitCode !== null || child.signalCode !== null
  const start = async () => {
    for (const deadline = performance.now() + startWithinMs; ended(); await sleep(500)) {
      if (performance.now() > deadline) throw new Error(`${name} does not start:\n${lastLines()}`)
      const life = launch()
      noticeExit(life)
      while (!ended() && !(await answersReady(port))) await sleep(50)
      life.started.ready = !ended()
    }
  }
  // One after the other: what has crashed is started again before anything else happens to it.
  let turn: Promise<void> = Promise.resolve()
  const inTurn = (work: () => Promise<void>) => {
    turn = turn.then(work)
    return turn
  }
  return {
    port,
    logFile,
    lives,
    ready: () => answersReady(port),
    start: () => inTurn(start),
    replace: () => inTurn(() => end('SIGTERM').then(start)),
    kill: () =>
      inTurn(async () => {
        noteKilled()
        await end('SIGKILL')
        await start()
      }),
    stop: () => inTurn(() => end('SIGTERM')),
    async samples() {
      const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`)
      return parseSamples(await response.text())
    },
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL') {
    const ending = child
    if (ending === undefined || ended()) return
    asked = true
    const exited = once(ending, 'exit')
    ending.kill(signal)
    if (signal === 'SIGKILL') return void (await exited)
    const late = await Promise.race([exited.then(() => false), sleep(stopWithinMs, true)])
    if (late) {
      find(books, 'crashes', `${name} did not end within ${stopWithinMs / 1000} s of SIGTERM`)
      ending.kill('SIGKILL')
      await exited
    } else if (ending.exitCode !== 0)
      find(books, 'crashes', `${name} ended with ${ending.exitCode} at SIGTERM:\n${lastLines()}`)
  }
}

async function answersReady(port: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(2000)
    const { status } = await fetch(`http://127.0.0.1:${port}/readyz`, { signal })
    return status === 200
  } catch {
    return false
  }
}

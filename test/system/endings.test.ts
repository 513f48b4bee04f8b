/** How a process ends: by a signal or by an error that may have broken its state, and never because of what is around it. */
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createSilence } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../support/ports.ts'
import {
  createHome,
  type Home,
  mainPath,
  nodePath,
  type ServerProcess,
} from '../support/process.ts'

/** Each process ends before the next one starts, so that one database is made and migrated for all of them. */
let home: Home
beforeAll(async () => {
  home = await createHome()
})
afterAll(() => home.remove())

const lines = (server: ServerProcess, word: string) =>
  server
    .output()
    .split('\n')
    .filter((line) => line.includes(word))

describe('uncaught error', () => {
  /** Loaded before the server; each SIGUSR2 makes the next one happen. */
  const injected = `
    const errors = [
      () => Promise.reject(new Error('injected rejection')),
      () => setTimeout(() => { throw Object.assign(new Error('injected reset'), { code: 'ECONNRESET', syscall: 'read' }) }),
      () => setTimeout(() => { throw new Error('injected exception') }),
    ]
    process.on('SIGUSR2', () => errors.shift()())`
  let server: ServerProcess
  beforeAll(async () => {
    server = await home.start({
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(injected)}`,
    })
  })

  it.each([
    ['a rejection', 'injected rejection', 'rejection'],
    ['an error of a connection', 'injected reset', 'exception'],
  ] as const)(
    '%s is logged once with its stack and counted, and the server goes on',
    async (_, message, kind) => {
      process.kill(server.pid, 'SIGUSR2')
      await expect
        .poll(
          async () =>
            (await server.samples()).get(`authgate_uncaught_errors_total{kind="${kind}"}`),
          { timeout: 10_000 },
        )
        .toBe(1)
      const told = lines(server, message)
      expect(told).toHaveLength(1)
      expect(JSON.parse(told[0] ?? '')).toMatchObject({
        level: 'error',
        kind,
        err: { message, stack: expect.stringMatching(/^\s+at /) },
      })
      expect((await server.request('/readyz')).status).toBe(200)
    },
  )

  it('an exception is logged once with its stack, and ends the process with code 1 through the drain', async () => {
    process.kill(server.pid, 'SIGUSR2')
    expect(await server.exited).toMatchObject({ code: 1, signal: null })
    expect(lines(server, 'injected exception')).toHaveLength(1)
    expect(lines(server, '"draining"')).toHaveLength(1)
    expect(lines(server, '"stopped"')).toHaveLength(1)
  })
})

describe('a collector', () => {
  const pushTo = (port: number) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  })

  it('that never answers adds no more than a second or two to the end, here by SIGINT', async () => {
    const silence = createSilence((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    await new Promise((resolve) => silence.once('listening', resolve))
    const server = await home.start(pushTo((silence.address() as AddressInfo).port))
    const start = performance.now()
    process.kill(server.pid, 'SIGINT')
    expect(await server.exited).toMatchObject({ code: 0, signal: null })
    expect(performance.now() - start).toBeLessThan(4000)
    silence.close()
  })

  it.each([
    ['well', 0],
    ['slow', 1500],
  ])(
    'that is %s gets the last numbers: SIGTERM says so by /readyz and serves on for SHUTDOWN_DELAY, which a second one ends',
    async (_, answerAfterMs) => {
      const { port, bodies, close } = await startCollector(answerAfterMs)
      const server = await home.start({
        ...pushTo(port),
        OTEL_METRIC_EXPORT_INTERVAL: '4000',
        SHUTDOWN_DELAY: '60s',
      })
      await expect.poll(() => bodies.length, { timeout: 20_000 }).toBeGreaterThan(0)
      process.kill(server.pid, 'SIGTERM')
      await sleep(50)
      // The signal that npm passes on besides the terminal's is not taken for a second one.
      process.kill(server.pid, 'SIGTERM')
      await expect
        .poll(async () => (await server.request('/readyz')).status, { timeout: 5000 })
        .toBe(503)
      await sleep(700)
      for (let n = 0; n < 7; n += 1) expect((await server.request('/login')).status).toBe(200)
      process.kill(server.pid, 'SIGTERM')
      expect(await server.exited).toMatchObject({ code: 0, signal: null })
      expect(lines(server, '"stopped"')).toHaveLength(1)
      expect(loginPages(bodies.at(-1) ?? '{}')).toBe(7)
      close()
    },
  )

  async function startCollector(answerAfterMs: number) {
    const bodies: string[] = []
    const collector = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1')
      })
      request.on('end', async () => {
        await sleep(answerAfterMs)
        if (request.url === '/v1/metrics' && !response.destroyed) bodies.push(body)
        response.setHeader('content-type', 'application/json').end('{}')
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => collector.once('listening', resolve))
    const { port } = collector.address() as AddressInfo
    return { port, bodies, close: () => collector.close() }
  }

  interface Point {
    readonly attributes: readonly { key: string; value: { stringValue?: string } }[]
    readonly count?: number | string
  }
  const loginPages = (body: string) => {
    const { resourceMetrics } = JSON.parse(body) as {
      resourceMetrics: {
        scopeMetrics: { metrics: { name: string; histogram?: { dataPoints: Point[] } }[] }[]
      }[]
    }
    const points = resourceMetrics
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap(({ metrics }) => metrics)
      .filter(({ name }) => name === 'http.server.request.duration')
      .flatMap(({ histogram }) => histogram?.dataPoints ?? [])
      .filter(({ attributes }) =>
        attributes.some(({ key, value }) => key === 'http.route' && value.stringValue === '/login'),
      )
    return points.reduce((sum, { count }) => sum + Number(count ?? 0), 0)
  }
})

describe('standard output', () => {
  it('that takes no line, as on a full disk, ends nothing but SIGHUP does', async () => {
    const { PATH = '', HOME = '/' } = process.env
    const child = spawn('sh', ['-c', `exec "${nodePath}" "${mainPath}" > /dev/full 2> /dev/full`], {
      cwd: dirname(home.dataDir),
      env: { PATH, HOME, ...home.settings },
    })
    const exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)))
    const ready = () =>
      fetch(`http://127.0.0.1:${home.settings['PORT']}/readyz`).then(
        ({ status }) => status,
        () => 0,
      )
    await expect.poll(ready, { timeout: 60_000, interval: 200 }).toBe(200)
    child.kill('SIGHUP')
    expect(await exited).toBe(0)
  })
})

describe.skipIf(process.platform === 'win32')('npm', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))

  /** The real npm of this machine, in a process group of its own as in a terminal. */
  function runNpm(script: string, settings: Record<string, string> = {}) {
    const { PATH = '', HOME = '/' } = process.env
    const npm = spawn(
      'npm',
      ['run', script, '--', ...(script === 'admin' ? ['enable', 'x'] : [])],
      {
        cwd: root,
        detached: true,
        env: { PATH, HOME, ...home.settings, ...settings },
      },
    )
    const said = { text: '' }
    for (const stream of [npm.stdout, npm.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said.text += text
      })
    // The pipes are closed when the last of them has ended: the server, and what stands between.
    const closed = new Promise((resolve) => npm.once('close', resolve))
    return {
      said,
      until: (pattern: RegExp) =>
        expect.poll(() => said.text, { timeout: 100_000, interval: 100 }).toMatch(pattern),
      async end(signal: NodeJS.Signals, to: 'npm' | 'all') {
        process.kill(to === 'npm' ? (npm.pid ?? 0) : -(npm.pid ?? 0), signal)
        const outcome = await Promise.race([closed, sleep(20_000, 'left behind', { ref: false })])
        if (outcome === 'left behind') process.kill(-(npm.pid ?? 0), 'SIGKILL')
        expect(outcome).not.toBe('left behind')
      },
    }
  }

  it.each([
    ['start', 'SIGTERM', 'npm'],
    ['start', 'SIGHUP', 'npm'],
    // A shell that waits for its child keeps SIGINT to itself; a terminal sends it to all of them.
    ['start', 'SIGINT', 'all'],
    ['dev', 'SIGTERM', 'npm'],
  ] as const)(
    'that runs %s takes the server with it on %s to %s, drained',
    async (script, signal, to) => {
      const npm = runNpm(script)
      await npm.until(/^ {2}Sign in /m)
      await npm.end(signal, to)
      expect(npm.said.text.split('"stopped"')).toHaveLength(2)
    },
  )

  it('that runs admin takes it with it, in the middle of its work', async () => {
    const silence = createSilence((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    const connected = new Promise((resolve) => silence.once('connection', resolve))
    await new Promise((resolve) => silence.once('listening', resolve))
    const { port } = silence.address() as AddressInfo
    const npm = runNpm('admin', {
      DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/nothing`,
      DB_START_TIMEOUT: '5m',
      SESSION_SECRET: 'a secret of at least 32 characters for one test',
    })
    await connected
    await npm.end('SIGTERM', 'npm')
    silence.close()
  })

  it('that runs demo takes it and its server with it', async () => {
    const port = String(await freePort())
    const npm = runNpm('demo', { PORT: port })
    await npm.until(/Metrics +http/)
    await npm.end('SIGTERM', 'npm')
    await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow()
  })
})

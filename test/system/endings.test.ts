/** How a process ends: by a signal or by an error that may have broken its state, and never because of what is around it. */
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createSilence } from 'node:net'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createHome,
  type Home,
  mainPath,
  nodePath,
  type ServerProcess,
} from '../support/process.ts'

let home: Home
beforeEach(async () => {
  home = await createHome()
})
afterEach(() => home.remove())

const lines = (server: ServerProcess, word: string) =>
  server
    .output()
    .split('\n')
    .filter((line) => line.includes(word))

describe('an error that nobody caught', () => {
  /** Loaded before the server; SIGUSR2 makes it happen. */
  const injected = (code: string) => ({
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2', () => { ${code} })`)}`,
  })
  const rejection = injected("Promise.reject(new Error('injected'))")
  const exception = injected("setTimeout(() => { throw new Error('injected') })")
  const ofConnection = injected(
    "setTimeout(() => { throw Object.assign(new Error('injected'), { code: 'ECONNRESET', syscall: 'read' }) })",
  )

  it.each([
    ['a rejection', rejection, 'rejection'],
    ['an error of a connection', ofConnection, 'exception'],
  ] as const)(
    '%s is logged once with its stack and counted, and the server goes on',
    async (_, settings, kind) => {
      const server = await home.start(settings)
      process.kill(server.pid, 'SIGUSR2')
      await expect
        .poll(
          async () =>
            (await server.samples()).get(`authgate_uncaught_errors_total{kind="${kind}"}`),
          { timeout: 10_000 },
        )
        .toBe(1)
      const told = lines(server, 'injected')
      expect(told).toHaveLength(1)
      expect(JSON.parse(told[0] ?? '')).toMatchObject({
        level: 'error',
        kind,
        err: { message: 'injected', stack: expect.stringMatching(/^\s+at /) },
      })
      expect((await server.request('/readyz')).status).toBe(200)
      expect(await server.stop()).toMatchObject({ code: 0 })
    },
  )

  it('an exception is logged once with its stack, and ends the process with code 1 through the drain', async () => {
    const server = await home.start(exception)
    process.kill(server.pid, 'SIGUSR2')
    expect(await server.exited).toMatchObject({ code: 1, signal: null })
    expect(lines(server, 'injected')).toHaveLength(1)
    expect(lines(server, '"draining"')).toHaveLength(1)
    expect(lines(server, '"stopped"')).toHaveLength(1)
  })
})

describe('a signal', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s drains and exits 0', async (signal) => {
    const server = await home.start()
    process.kill(server.pid, signal)
    expect(await server.exited).toMatchObject({ code: 0, signal: null })
    expect(lines(server, '"stopped"')).toHaveLength(1)
  })

  it('says so by /readyz at once and serves on for SHUTDOWN_DELAY, which a second one ends', async () => {
    const server = await home.start({ SHUTDOWN_DELAY: '60s' })
    process.kill(server.pid, 'SIGTERM')
    await expect
      .poll(async () => (await server.request('/readyz')).status, { timeout: 5000 })
      .toBe(503)
    // The signal that npm passes on besides the terminal's is not taken for a second one.
    process.kill(server.pid, 'SIGTERM')
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect((await server.request('/livez')).status).toBe(200)
    process.kill(server.pid, 'SIGTERM')
    expect(await server.exited).toMatchObject({ code: 0, signal: null })
  })
})

describe('a collector', () => {
  const pushTo = (port: number) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  })

  it('that never answers adds no more than a second or two to the end', async () => {
    const silence = createSilence((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    await new Promise((resolve) => silence.once('listening', resolve))
    const server = await home.start(pushTo((silence.address() as AddressInfo).port))
    await server.request('/livez')
    const start = performance.now()
    expect(await server.stop()).toMatchObject({ code: 0 })
    expect(performance.now() - start).toBeLessThan(4000)
    silence.close()
  })

  it('that is well gets the last numbers of the requests that were drained', async () => {
    const bodies: string[] = []
    const collector = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1')
      })
      request.on('end', () => {
        if (request.url === '/v1/metrics') bodies.push(body)
        response.setHeader('content-type', 'application/json').end('{}')
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => collector.once('listening', resolve))
    const server = await home.start({
      ...pushTo((collector.address() as AddressInfo).port),
      SHUTDOWN_DELAY: '2s',
    })
    process.kill(server.pid, 'SIGTERM')
    await expect
      .poll(async () => (await server.request('/readyz')).status, { timeout: 5000 })
      .toBe(503)
    for (let n = 0; n < 7; n += 1) await server.request('/login')
    expect(await server.exited).toMatchObject({ code: 0 })
    expect(loginPages(bodies.at(-1) ?? '{}')).toBe(7)
    collector.close()
  })

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
  it('that takes no line, as on a full disk, ends nothing', async () => {
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
    child.kill('SIGTERM')
    expect(await exited).toBe(0)
  })
})

describe.skipIf(process.platform === 'win32')('npm', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))

  /** The real npm of this machine, by the signal that it gets and passes on to a shell, or does not. */
  it.each([
    ['start', 'SIGTERM'],
    ['start', 'SIGHUP'],
    ['start', 'SIGINT'],
    ['dev', 'SIGTERM'],
  ] as const)(
    'that runs %s and gets %s takes the server with it, drained',
    async (script, signal) => {
      const { PATH = '', HOME = '/' } = process.env
      const npm = spawn('npm', ['run', script], {
        cwd: root,
        env: { PATH, HOME, ...home.settings },
      })
      let output = ''
      npm.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
      await expect.poll(() => output, { timeout: 100_000, interval: 100 }).toMatch(/^ {2}Sign in /m)
      const closed = new Promise((resolve) => npm.once('close', resolve))
      npm.kill(signal)
      // The pipe is closed when the last of them has ended: the server, and what stands between.
      await closed
      expect(output).toContain('"stopped"')
    },
  )
})

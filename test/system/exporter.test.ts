/** The two ways out of the running server: the exporter port and the OTLP push. */

import { request } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openBrowser } from '../support/browser.ts'
import { freePort } from '../support/ports.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { parseSamples, seriesKey } from '../support/prometheus.ts'
import { type Collector, startCollector } from '../unit/telemetry/otlp-collector.ts'
import type { OtlpMetric } from '../unit/telemetry/otlp-protobuf.ts'

let home: Home
beforeEach(async () => {
  home = await createHome()
})
afterEach(() => home.remove())

const signIn = async (server: ServerProcess) => {
  const browser = openBrowser(server)
  const { username, password } = home.credentials()
  expect((await browser.signIn(username, { password })).status).toBe(303)
  return browser
}

describe('the exporter port', () => {
  const token = 'a-token-that-scrapes-must-show'

  /** As the network brings it: nothing is unpacked on the way. */
  const rawScrape = (url: string, headers: Record<string, string>) =>
    new Promise<{ encoding: string | undefined; body: Buffer }>((resolve, reject) => {
      const asked = request(url, { headers }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({
            encoding: response.headers['content-encoding'],
            body: Buffer.concat(chunks),
          }),
        )
      })
      asked.once('error', reject)
      asked.end()
    })

  let shared: Home
  let server: ServerProcess
  beforeAll(async () => {
    shared = await createHome()
    server = await shared.start({ METRICS_TOKEN: token })
  })
  afterAll(() => shared.remove())

  it('answers 401 without its token', async () => {
    for (const authorization of [undefined, 'Bearer', 'Bearer wrong', `Basic ${token}`, token]) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
      const refused = await fetch(server.metricsUrl, { headers })
      expect(refused.status).toBe(401)
      expect(refused.headers.get('www-authenticate')).toBe('Bearer')
      expect(await refused.text()).not.toContain('sessions_active')
    }
  })

  it('counts a wrong token as refused', async () => {
    const series = 'authgate_refusals_total{kind="metrics_token"}'
    const scrape = async () => {
      const headers = { authorization: `Bearer ${token}` }
      return parseSamples(await (await fetch(server.metricsUrl, { headers })).text()).get(series)
    }
    const before = (await scrape()) ?? Number.NaN
    await fetch(server.metricsUrl, { headers: { authorization: 'Bearer wrong' } })
    expect(await scrape()).toBe(before + 1)
  })

  it('answers Prometheus text to who shows the token, packed when asked', async () => {
    const authorization = `Bearer ${token}`
    const response = await fetch(server.metricsUrl, { headers: { authorization } })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(parseSamples(await response.text()).get('sessions_active')).toBe(0)

    const plain = await rawScrape(server.metricsUrl, { authorization })
    expect(plain.encoding).toBeUndefined()
    const packed = await rawScrape(server.metricsUrl, { authorization, 'accept-encoding': 'gzip' })
    expect(packed.encoding).toBe('gzip')
    expect(packed.body.length).toBeLessThan(plain.body.length / 4)
    expect(parseSamples(gunzipSync(packed.body).toString()).get('sessions_active')).toBe(0)
  })

  it('is the only place: the public port knows no /metrics', async () => {
    expect((await server.request('/metrics')).status).toBe(404)
    const elsewhere = new URL('/', server.metricsUrl)
    expect((await fetch(elsewhere)).status).toBe(404)
    expect((await fetch(new URL('/login', server.metricsUrl))).status).toBe(404)
  })
})

describe('METRICS_ENABLED=false', () => {
  it('opens no exporter port, nothing is pushed, and people still sign in', async () => {
    const collector = await startCollector()
    const server = await home.start({
      METRICS_ENABLED: 'false',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRIC_EXPORT_INTERVAL: '100',
    })
    await expect(fetch(server.metricsUrl)).rejects.toMatchObject({
      cause: { code: 'ECONNREFUSED' },
    })
    expect((await server.request('/metrics')).status).toBe(404)
    await signIn(server)
    expect((await server.stop()).code).toBe(0)
    expect(collector.bodies).toEqual([])
    await collector.close()
  })
})

describe('the OTLP push', () => {
  let collector: Collector
  beforeEach(async () => {
    collector = await startCollector()
  })
  afterEach(() => collector.close())

  const hour = '3600000'
  /** Counters and gauges that only people move; everything else is moved by being asked, or by time. */
  const atRest =
    /^(?!authgate_(population|cache|signing_key_))(auth|authgate|sessions|oauth|rate_limit|audit)_|^http_server_active/
  const isNumber = (key: string) => !/_(bucket|sum|count)(\{|$)/.test(key)

  const namesOf = (keys: Iterable<string>) =>
    [...new Set([...keys].filter(isNumber).map((key) => key.replace(/\{.*/, '')))].sort()

  it.each(['http/protobuf', 'http/json'])(
    'over %s says what a scrape says: names, labels, values',
    async (protocol) => {
      const server = await home.start({
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_METRIC_EXPORT_INTERVAL: hour,
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      })
      const browser = await signIn(server)
      await signIn(server)
      await browser.submit('/login?switch=1', '/login', { username: 'nobody', password: 'wrong' })
      await browser.signOut()
      const scraped = await server.samples()
      expect(scraped.get('sessions_active')).toBe(1)
      await server.stop()

      // One push begins the drain, the other ends it.
      const [, push, ...more] = collector.metrics
      expect(more).toEqual([])
      expect(push?.resource).toMatchObject({
        'service.name': 'authgate',
        'service.version': expect.stringMatching(/^\d+\.\d+\.\d+$/),
        'deployment.environment.name': 'test',
      })
      const pushed = numbersOf(push?.metrics ?? [])
      expect(namesOf(pushed.keys())).toEqual(
        namesOf(scraped.keys()).filter((name) => name !== 'target_info'),
      )
      const resting = (samples: ReadonlyMap<string, number>) =>
        Object.fromEntries([...samples].filter(([key]) => isNumber(key) && atRest.test(key)))
      expect(Object.keys(resting(scraped)).length).toBeGreaterThan(100)
      expect(resting(pushed)).toEqual(resting(scraped))
    },
  )

  it('goes out once more at SIGTERM, with gauges that still ask the database', async () => {
    const server = await home.start({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_METRIC_EXPORT_INTERVAL: hour,
    })
    await signIn(server)
    expect(collector.metrics).toEqual([])
    expect((await server.stop()).code).toBe(0)
    const last = numbersOf(collector.metrics.at(-1)?.metrics ?? [])
    expect(last.get('sessions_created_total')).toBe(1)
    expect(last.get('sessions_active')).toBe(1)
    expect(collector.spans.map(({ name }) => name)).toContain('POST /login')
  })

  it('that finds no collector is counted and said once; the server goes on', async () => {
    const server = await home.start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
      OTEL_METRIC_EXPORT_INTERVAL: '300',
      OTEL_METRIC_EXPORT_TIMEOUT: '200',
    })
    const failures = async () =>
      (await server.samples()).get(
        seriesKey('authgate_telemetry_export_failures_total', { signal: 'metrics' }),
      )
    await expect.poll(failures, { timeout: 30_000 }).toBeGreaterThan(2)
    await signIn(server)
    const said = server.output().match(/"signal":"metrics"/g) ?? []
    expect(said).toHaveLength(1)
    const start = performance.now()
    expect((await server.stop()).code).toBe(0)
    expect(performance.now() - start).toBeLessThan(12_000)
  })

  it('comes back by itself when the collector does', async () => {
    collector.answerWith(503)
    const server = await home.start({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRIC_EXPORT_INTERVAL: '300',
    })
    await expect.poll(() => collector.bodies.length, { timeout: 10_000 }).toBeGreaterThan(1)
    expect(collector.metrics).toEqual([])
    collector.answerWith(200)
    await expect.poll(() => collector.metrics.length, { timeout: 30_000 }).toBeGreaterThan(1)
    expect((await server.request('/livez')).status).toBe(200)
  })
})

/** Counters and gauges of a push, named as Prometheus names what it receives over OTLP. */
function numbersOf(metrics: readonly OtlpMetric[]): Map<string, number> {
  const units: Record<string, string> = { s: '_seconds', By: '_bytes' }
  const samples = new Map<string, number>()
  for (const { name, unit, kind, monotonic, points } of metrics) {
    if (kind === 'histogram') continue
    const ratio = unit === '1' && kind === 'gauge' ? '_ratio' : ''
    const suffix = `${units[unit] ?? ratio}${monotonic ? '_total' : ''}`
    for (const { attributes, value } of points) {
      const labels = Object.entries(attributes).map(([key, text]) => [
        key.replaceAll('.', '_'),
        String(text),
      ])
      samples.set(
        seriesKey(`${name.replaceAll('.', '_')}${suffix}`, Object.fromEntries(labels)),
        value,
      )
    }
  }
  return samples
}

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { catalogue } from '#/telemetry/catalogue.ts'
import { createGauge } from '#/telemetry/instruments.ts'
import { createRecorder } from '#/telemetry/recorder.ts'
import { rememberingLog, testMetrics } from './metrics-support.ts'
import { type Collector, startCollector } from './otlp-collector.ts'

const hour = 3_600_000

describe('a scrape', () => {
  it('no longer shows a gauge value that is no longer observed', async () => {
    const metrics = testMetrics()
    let users: Record<string, number> = { local: 3, oauth: 2 }
    createGauge(metrics.meter, catalogue.usersActive).addCallback((result) => {
      for (const [auth_source, count] of Object.entries(users))
        result.observe(count, { auth_source })
    })
    const before = await metrics.scrape()
    expect(before.get('authgate_users_active{auth_source="oauth"}')).toBe(2)
    users = { local: 4 }
    const after = await metrics.scrape()
    expect(after.get('authgate_users_active{auth_source="local"}')).toBe(4)
    expect(after.has('authgate_users_active{auth_source="oauth"}')).toBe(false)
    users = {}
    expect(await metrics.collect()).not.toContain('authgate_users_active')
  })

  it('keeps counters over any number of scrapes', async () => {
    const metrics = testMetrics()
    const recorder = createRecorder(metrics.meter)
    for (let i = 1; i <= 4; i += 1) {
      recorder.sessionStarted()
      expect((await metrics.scrape()).get('sessions_created_total')).toBe(i)
    }
    expect((await metrics.scrape()).get('sessions_created_total')).toBe(4)
  })

  it('knows everything that happened before it was asked for, even during another scrape', async () => {
    const metrics = testMetrics()
    let users = 1
    const gate = Promise.withResolvers<void>()
    let calls = 0
    createGauge(metrics.meter, catalogue.usersRegistered).addCallback(async (result) => {
      const counted = users
      calls += 1
      if (calls === 1) await gate.promise
      result.observe(counted)
    })
    const first = metrics.scrape()
    await vi.waitFor(() => expect(calls).toBe(1))
    users = 2
    const others = [metrics.scrape(), metrics.scrape(), metrics.scrape()]
    gate.resolve()
    expect((await first).get('authgate_users_registered')).toBe(1)
    for (const other of others) expect((await other).get('authgate_users_registered')).toBe(2)
    expect(calls).toBe(2)
  })

  it('answers within 2 s without the gauges whose callback hangs, and says so once', async () => {
    const log = rememberingLog()
    const metrics = testMetrics({ log })
    createRecorder(metrics.meter).sessionStarted()
    let hangs = true
    createGauge(metrics.meter, catalogue.usersRegistered).addCallback(async (result) => {
      if (hangs) await new Promise(() => undefined)
      result.observe(7)
    })
    createGauge(metrics.meter, catalogue.sessionsActive).addCallback((result) => result.observe(5))
    const start = performance.now()
    const samples = await metrics.scrape()
    expect(performance.now() - start).toBeLessThan(2500)
    expect(samples.get('sessions_created_total')).toBe(1)
    expect(samples.get('sessions_active')).toBe(5)
    expect(samples.has('authgate_users_registered')).toBe(false)
    await metrics.scrape()
    expect(log.lines.map(({ message }) => message)).toEqual(['some gauges could not be read'])
    hangs = false
    expect((await metrics.scrape()).get('authgate_users_registered')).toBe(7)
    expect(log.lines.at(-1)?.message).toBe('all gauges have recovered')
  })

  it('answers when a callback throws', async () => {
    const metrics = testMetrics()
    createGauge(metrics.meter, catalogue.usersRegistered).addCallback(() => {
      throw new Error('database is away')
    })
    createRecorder(metrics.meter).sessionStarted()
    expect((await metrics.scrape()).get('sessions_created_total')).toBe(1)
  })

  it('names the service in target_info and carries no scope labels', async () => {
    const metrics = testMetrics()
    createRecorder(metrics.meter)
    const text = await metrics.collect()
    expect(text).toMatch(/^target_info\{.*service_name="authgate".*\} 1$/m)
    expect(text).not.toContain('otel_scope')
    expect(text).not.toContain('# UNIT')
  })

  it('is refused after the shutdown', async () => {
    const metrics = testMetrics()
    createRecorder(metrics.meter)
    await metrics.shutdown()
    await expect(metrics.collect()).rejects.toThrow()
  })
})

describe('metrics switched off', () => {
  it('leave no timer, no reader and no series', async () => {
    const timers = vi.spyOn(globalThis, 'setInterval')
    const metrics = testMetrics({
      enabled: false,
      otlp: {
        url: 'http://127.0.0.1:9/v1/metrics',
        protocol: 'http/json',
        intervalMs: 100,
        timeoutMs: 100,
      },
    })
    createRecorder(metrics.meter).sessionStarted()
    expect(timers).not.toHaveBeenCalled()
    timers.mockRestore()
    expect(await metrics.collect()).toBe('')
    await metrics.shutdown()
  })
})

describe('a push', () => {
  let collector: Collector
  beforeEach(async () => {
    collector = await startCollector()
  })
  afterEach(() => collector.close())

  const pushing = (intervalMs: number, extra: Parameters<typeof testMetrics>[0] = {}) =>
    testMetrics({
      otlp: {
        url: `${collector.url}/v1/metrics`,
        protocol: 'http/json',
        intervalMs,
        timeoutMs: 1000,
      },
      ...extra,
    })

  it('goes out at every interval', async () => {
    const metrics = pushing(50)
    createRecorder(metrics.meter)
    await vi.waitFor(() => expect(collector.metrics.length).toBeGreaterThan(2))
    await metrics.shutdown()
  })

  it('carries what was recorded last when the server stops', async () => {
    const metrics = pushing(hour)
    createRecorder(metrics.meter).sessionStarted()
    await metrics.shutdown()
    const created = collector.metrics[0]?.metrics.find(({ name }) => name === 'sessions.created')
    expect(created?.points.map(({ value }) => value)).toEqual([1])
  })

  it('and a scrape share one reader: neither takes gauges or counts from the other', async () => {
    const metrics = pushing(20)
    const recorder = createRecorder(metrics.meter)
    createGauge(metrics.meter, catalogue.usersRegistered).addCallback((r) => r.observe(7))
    for (let i = 1; i <= 30; i += 1) {
      recorder.sessionStarted()
      const samples = await metrics.scrape()
      expect(samples.get('sessions_created_total')).toBe(i)
      expect(samples.get('authgate_users_registered')).toBe(7)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    for (const { metrics: pushed } of collector.metrics) {
      const users = pushed.find(({ name }) => name === 'authgate.users.registered')
      expect(users?.points.map(({ value }) => value)).toEqual([7])
    }
    expect(collector.metrics.length).toBeGreaterThan(1)
    await metrics.shutdown()
  })

  it('that is refused is counted each time and logged once, and so is its return', async () => {
    const log = rememberingLog()
    const failures: string[] = []
    const metrics = pushing(30, { log, onExportFailure: (signal) => failures.push(signal) })
    createRecorder(metrics.meter)
    collector.answerWith(400)
    await vi.waitFor(() => expect(failures.length).toBeGreaterThan(2))
    collector.answerWith(200)
    await vi.waitFor(() => expect(log.lines.length).toBe(2))
    expect(new Set(failures)).toEqual(new Set(['metrics']))
    expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'exports are failing'],
      ['info', 'exports have recovered'],
    ])
    await metrics.shutdown()
  })

  it('to a collector that is down fails quietly: no unhandled rejection, scrapes go on', async () => {
    const unhandled: unknown[] = []
    const remember = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', remember)
    await collector.close()
    const failures: string[] = []
    const metrics = pushing(40, { onExportFailure: (signal) => failures.push(signal) })
    const recorder = createRecorder(metrics.meter)
    await vi.waitFor(() => expect(failures.length).toBeGreaterThan(1), { timeout: 5000 })
    recorder.sessionStarted()
    expect((await metrics.scrape()).get('sessions_created_total')).toBe(1)
    await metrics.shutdown(500)
    process.off('unhandledRejection', remember)
    expect(unhandled).toEqual([])
    collector = await startCollector()
  })

  it('that is never answered does not hold up the shutdown beyond its bound', async () => {
    collector.answerWith(undefined)
    const log = rememberingLog()
    const metrics = pushing(hour, {
      log,
      otlp: {
        url: `${collector.url}/v1/metrics`,
        protocol: 'http/protobuf',
        intervalMs: hour,
        timeoutMs: 30_000,
      },
    })
    createRecorder(metrics.meter)
    const start = performance.now()
    await metrics.shutdown(300)
    expect(performance.now() - start).toBeLessThan(1000)
    expect(log.lines.at(-1)?.message).toBe('the last metrics could not be exported')
  })

  it('carries the headers it was given', async () => {
    const metrics = pushing(hour, {
      otlp: {
        url: `${collector.url}/v1/metrics`,
        protocol: 'http/protobuf',
        intervalMs: hour,
        timeoutMs: 1000,
        headers: { 'x-tenant': 'blue' },
      },
    })
    createRecorder(metrics.meter)
    await metrics.shutdown()
    expect(collector.headers[0]?.['x-tenant']).toBe('blue')
  })

  it('refuses an address that is none at the start', () => {
    expect(() =>
      testMetrics({
        otlp: { url: 'no address', protocol: 'http/json', intervalMs: 100, timeoutMs: 100 },
      }),
    ).toThrow(/no address/)
  })
})

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runtime } from '#/telemetry/conventions.ts'
import { prometheusName } from '#/telemetry/prometheus-name.ts'
import { startRuntimeMetrics } from '#/telemetry/runtime.ts'
import { testMetrics } from './metrics-support.ts'
import type { Samples } from './prometheus-samples.ts'

const block = (ms: number) => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

let metrics: ReturnType<typeof testMetrics>
let stop: () => void
beforeEach(() => {
  metrics = testMetrics()
  stop = startRuntimeMetrics(metrics.meter)
})
afterEach(() => stop())

const value = (samples: Samples, key: string) => samples.get(key) ?? Number.NaN

describe('the runtime metrics', () => {
  it('have every gauge and total of the catalogue', async () => {
    await sleep(30)
    const names = [...(await metrics.scrape()).keys()].map((key) => key.replace(/\{.*/, ''))
    const expected = Object.values(runtime)
      .filter(({ kind }) => kind !== 'histogram')
      .map(prometheusName)
    expect(expected.filter((name) => !names.includes(name))).toEqual([])
  })

  it('show a blocked event loop, even right after a scrape, and forget it at the next', async () => {
    await metrics.scrape()
    block(120)
    await sleep(10)
    const blocked = await metrics.scrape()
    expect(value(blocked, 'nodejs_eventloop_delay_max_seconds')).toBeGreaterThan(0.1)
    expect(value(blocked, 'nodejs_eventloop_delay_max_seconds')).toBeLessThan(5)
    await sleep(30)
    const idle = await metrics.scrape()
    expect(value(idle, 'nodejs_eventloop_delay_max_seconds')).toBeLessThan(0.1)
  })

  it('tell how busy the loop was since the last scrape', async () => {
    await metrics.scrape()
    block(200)
    await sleep(1)
    const busy = value(await metrics.scrape(), 'nodejs_eventloop_utilization_ratio')
    await sleep(300)
    const idle = value(await metrics.scrape(), 'nodejs_eventloop_utilization_ratio')
    expect(busy).toBeGreaterThan(0.5)
    expect(busy).toBeLessThanOrEqual(1)
    expect(idle).toBeLessThan(busy)
  })

  it('count processor time in seconds', async () => {
    const key = 'process_cpu_time_seconds_total{cpu_mode="user"}'
    const before = value(await metrics.scrape(), key)
    block(200)
    const used = value(await metrics.scrape(), key) - before
    expect(used).toBeGreaterThan(0.02)
    expect(used).toBeLessThan(20)
  })

  it('time garbage collections', async () => {
    for (let i = 0; i < 60; i += 1) Array.from({ length: 100_000 }, () => ({ i }))
    await sleep(50)
    const samples = await metrics.scrape()
    const count = [...samples]
      .filter(([key]) => key.startsWith('v8js_gc_duration_seconds_count'))
      .reduce((sum, [, n]) => sum + n, 0)
    expect(count).toBeGreaterThan(0)
  })

  it('agree with what the process says of itself', async () => {
    const samples = await metrics.scrape()
    expect(value(samples, 'process_memory_usage_bytes')).toBeGreaterThan(10e6)
    expect(Math.abs(value(samples, 'process_uptime_seconds') - process.uptime())).toBeLessThan(5)
    const used = [...samples].filter(([key]) => key.startsWith('v8js_memory_heap_used_bytes'))
    const heap = used.reduce((sum, [, bytes]) => sum + bytes, 0)
    expect(heap / process.memoryUsage().heapUsed).toBeGreaterThan(0.5)
    expect(heap / process.memoryUsage().heapUsed).toBeLessThan(2)
  })

  it('are gone once stopped', async () => {
    stop()
    const text = await metrics.collect()
    expect(text).not.toContain('nodejs_')
    expect(text).not.toContain('process_memory')
  })
})

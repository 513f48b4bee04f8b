/** What Node.js, V8 and the system tell about this process, under the names of OpenTelemetry's semantic conventions. */
import {
  createHistogram,
  type EventLoopUtilization,
  constants as gcKinds,
  type PerformanceEntry,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks'
import { getHeapSpaceStatistics } from 'node:v8'
import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api'
import { catalogue } from './catalogue.ts'
import type { GarbageCollection } from './conventions.ts'
import { createGauge, createObservableCounter, createOpenHistogram } from './instruments.ts'

/** Observes the runtime until the answer is called. Not to be called when metrics are off: it costs a little. */
export function startRuntimeMetrics(meter: Meter): () => void {
  const stops = [
    observeEventLoopDelay(meter),
    observeEventLoopUse(meter),
    observeGarbageCollections(meter),
    observeMemory(meter),
    observeProcess(meter),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

type Observation = (result: BatchObservableResult) => void | Promise<void>

function observe(meter: Meter, instruments: Observable[], callback: Observation): () => void {
  meter.addBatchObservableCallback(callback, instruments)
  return () => meter.removeBatchObservableCallback(callback, instruments)
}

const sampleEveryMs = 10

/**
 * How late a timer comes. Node's own monitor drops the sample in which it is reset, and with it the cost of the scrape
 * itself; sampled by iteration it misses what blocks inside I/O callbacks.
 */
function observeEventLoopDelay(meter: Meter): () => void {
  const delays = createHistogram()
  let due = performance.now() + sampleEveryMs
  const timer = setInterval(() => {
    const now = performance.now()
    delays.record(Math.max(1, Math.round((now - due) * 1e6)))
    due = now + sampleEveryMs
  }, sampleEveryMs)
  timer.unref()
  const readings = [
    [createGauge(meter, catalogue.eventLoopDelayMin), () => delays.min],
    [createGauge(meter, catalogue.eventLoopDelayMax), () => delays.max],
    [createGauge(meter, catalogue.eventLoopDelayMean), () => delays.mean],
    [createGauge(meter, catalogue.eventLoopDelayStddev), () => delays.stddev],
    [createGauge(meter, catalogue.eventLoopDelayP50), () => delays.percentile(50)],
    [createGauge(meter, catalogue.eventLoopDelayP90), () => delays.percentile(90)],
    [createGauge(meter, catalogue.eventLoopDelayP99), () => delays.percentile(99)],
  ] as const
  const gauges = readings.map(([gauge]) => gauge)
  const stop = observe(meter, gauges, (result) => {
    if (delays.count === 0) return
    for (const [gauge, read] of readings) result.observe(gauge, read() / 1e9)
    delays.reset()
  })
  return () => {
    stop()
    clearInterval(timer)
  }
}

function observeEventLoopUse(meter: Meter): () => void {
  const utilization = createGauge(meter, catalogue.eventLoopUtilization)
  const time = createObservableCounter(meter, catalogue.eventLoopTime)
  let last: EventLoopUtilization = performance.eventLoopUtilization()
  return observe(meter, [utilization, time], (result) => {
    const current = performance.eventLoopUtilization()
    result.observe(utilization, performance.eventLoopUtilization(current, last).utilization)
    last = current
    result.observe(time, current.active / 1000, { 'nodejs.eventloop.state': 'active' })
    result.observe(time, current.idle / 1000, { 'nodejs.eventloop.state': 'idle' })
  })
}

type GcEntry = PerformanceEntry & { readonly detail?: { readonly kind?: number } }

const gcTypes: Readonly<Record<number, GarbageCollection>> = {
  [gcKinds.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [gcKinds.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [gcKinds.NODE_PERFORMANCE_GC_MINOR_MARK_SWEEP]: 'minor',
  [gcKinds.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [gcKinds.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
}

function observeGarbageCollections(meter: Meter): () => void {
  const durations = createOpenHistogram(meter, catalogue.gcDuration)
  const observer = new PerformanceObserver((list) => {
    for (const { duration, detail } of list.getEntries() as GcEntry[]) {
      const type = gcTypes[detail?.kind ?? -1]
      if (type) durations.record(duration / 1000, { 'v8js.gc.type': type })
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  return () => observer.disconnect()
}

function observeMemory(meter: Meter): () => void {
  const used = createGauge(meter, catalogue.heapUsed)
  const limit = createGauge(meter, catalogue.heapLimit)
  const resident = createGauge(meter, catalogue.processMemory)
  return observe(meter, [used, limit, resident], (result) => {
    for (const space of getHeapSpaceStatistics()) {
      const attributes = { 'v8js.heap.space.name': space.space_name }
      result.observe(used, space.space_used_size, attributes)
      result.observe(limit, space.space_size, attributes)
    }
    result.observe(resident, process.memoryUsage.rss())
  })
}

function observeProcess(meter: Meter): () => void {
  const cpu = createObservableCounter(meter, catalogue.processCpuTime)
  const uptime = createGauge(meter, catalogue.processUptime)
  return observe(meter, [cpu, uptime], (result) => {
    const { user, system } = process.cpuUsage()
    result.observe(cpu, user / 1e6, { 'cpu.mode': 'user' })
    result.observe(cpu, system / 1e6, { 'cpu.mode': 'system' })
    result.observe(uptime, process.uptime())
  })
}

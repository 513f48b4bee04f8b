import { trace } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  runInSpan,
  span,
  startRequestSpan,
  startTracing,
  type Tracing,
} from '#/telemetry/tracing.ts'
import { identity, rememberingLog } from './metrics-support.ts'
import { type Collector, startCollector } from './otlp-collector.ts'

let collector: Collector
let tracing: Tracing
const failures: string[] = []
const log = rememberingLog()

const start = (options: { ratio?: number; url?: string | undefined } = {}) =>
  startTracing({
    ...identity,
    url: `${collector.url}/v1/traces`,
    log,
    onExportFailure: (signal) => failures.push(signal),
    ...options,
  })

beforeEach(async () => {
  failures.length = 0
  log.lines.length = 0
  collector = await startCollector()
})
afterEach(async () => {
  await tracing.shutdown(200)
  await collector.close()
})

describe('a span', () => {
  it('of a domain verb is a child of the request it belongs to, through awaits', async () => {
    tracing = start()
    const request = startRequestSpan('POST', undefined)
    await runInSpan(request, async () => {
      await new Promise((resolve) => setTimeout(resolve, 2))
      await span('tokens.issue', async () => span('keys.load', async () => 1))
    })
    request?.end()
    await tracing.shutdown()
    const byName = new Map(collector.spans.map((one) => [one.name, one]))
    expect([...byName.keys()].sort()).toEqual(['POST', 'keys.load', 'tokens.issue'])
    expect(new Set(collector.spans.map(({ traceId }) => traceId)).size).toBe(1)
    expect(byName.get('tokens.issue')?.parentSpanId).toBe(byName.get('POST')?.spanId)
    expect(byName.get('keys.load')?.parentSpanId).toBe(byName.get('tokens.issue')?.spanId)
    expect(byName.get('POST')?.kind).toBe(2)
  })

  it('of parallel requests never mix', async () => {
    tracing = start()
    const one = async (name: string) => {
      const request = startRequestSpan(name, undefined)
      await runInSpan(request, async () => {
        await new Promise((resolve) => setTimeout(resolve, 3))
        await span(`${name} verb`, async () => undefined)
      })
      request?.end()
    }
    await Promise.all(['a', 'b', 'c', 'd'].map(one))
    await tracing.shutdown()
    for (const name of ['a', 'b', 'c', 'd']) {
      const parent = collector.spans.find((s) => s.name === name)
      expect(collector.spans.find((s) => s.name === `${name} verb`)?.parentSpanId).toBe(
        parent?.spanId,
      )
    }
  })

  it('of a failed verb tells the kind of error, never its words, and passes the error on', async () => {
    tracing = start()
    const error = Object.assign(new Error('password hunter2 is wrong'), { code: '23505' })
    await expect(span('users.verify', () => Promise.reject(error))).rejects.toBe(error)
    await tracing.shutdown()
    const [found] = collector.spans
    expect(found?.status).toBe(2)
    expect(found?.statusMessage).toBe('')
    expect(found?.attributes['error.type']).toBe('23505')
    expect(found?.events).toEqual([
      { name: 'exception', attributes: { 'exception.type': '23505' } },
    ])
    expect(collector.bodies[0]?.toString('latin1')).not.toContain('hunter2')
  })

  it('follows a trusted caller, and its decision to keep the trace', async () => {
    tracing = start({ ratio: 0 })
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const kept = startRequestSpan('GET', {
      traceId,
      spanId: '00f067aa0ba902b7',
      traceFlags: 1,
      isRemote: true,
    })
    kept?.end()
    startRequestSpan('GET', undefined)?.end()
    await tracing.shutdown()
    expect(collector.spans.map((s) => [s.traceId, s.parentSpanId])).toEqual([
      [traceId, '00f067aa0ba902b7'],
    ])
  })
})

describe('without an endpoint', () => {
  it('there are no spans and no active span, and verbs just run', async () => {
    tracing = start({ url: undefined })
    expect(startRequestSpan('GET', undefined)).toBeUndefined()
    const seen = await runInSpan(undefined, () => span('x', async () => trace.getActiveSpan()))
    expect(seen).toBeUndefined()
    expect(collector.bodies).toEqual([])
  })
})

describe('an export of spans', () => {
  it('that fails is counted and logged once', async () => {
    collector.answerWith(400)
    tracing = start()
    await span('x', async () => undefined)
    await tracing.shutdown()
    expect(failures).toEqual(['traces'])
    expect(log.lines.filter(({ message }) => message === 'exports are failing')).toHaveLength(1)
  })

  it('that is never answered does not hold up the shutdown', async () => {
    collector.answerWith(undefined)
    tracing = start()
    await span('x', async () => undefined)
    const begin = performance.now()
    await tracing.shutdown(200)
    expect(performance.now() - begin).toBeLessThan(1000)
  })
})

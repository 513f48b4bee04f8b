import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRecorder } from '#/telemetry/recorder.ts'
import { currentTraceId } from '#/telemetry/trace-id.ts'
import { span, startTracing, type Tracing } from '#/telemetry/tracing.ts'
import type { AppEnv } from '#/web/request/context.ts'
import { type RequestTelemetryOptions, requestTelemetry } from '#/web/request/request-telemetry.ts'
import { identity, rememberingLog, testMetrics } from './metrics-support.ts'
import { type Collector, startCollector } from './otlp-collector.ts'

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

function testApp(options: Partial<RequestTelemetryOptions> = {}) {
  const metrics = testMetrics()
  const recorder = createRecorder(metrics.meter)
  const app = new Hono<AppEnv>()
  app.use(requestTelemetry({ recorder, scheme: 'https', ...options }))
  app.use('/account/*', (_c, next) => next())
  app.use('/login', (_c, next) => next())
  app.get('/login', (c) => c.text('sign in'))
  app.post('/login', (c) => c.text('limited', 429))
  app.get('/account/devices/:id', (c) => c.text(c.req.param('id')))
  app.get('/assets/*', (c) => c.text('body {}'))
  app.get('/trace', (c) => c.json([c.var.traceId, currentTraceId(), c.var.recorder === recorder]))
  app.get('/slow', async (c) => {
    await span('verb', async () => undefined)
    const active = (await metrics.scrape()).get(
      'http_server_active_requests{http_request_method="GET",url_scheme="https"}',
    )
    return c.text(String(active))
  })
  app.get('/broken', () => {
    throw Object.assign(new Error('token abc123'), { code: 'ECONNREFUSED' })
  })
  app.use((_c, next) => next())
  app.onError((_error, c) => c.text('sorry', 500))
  const counts = async () =>
    [...(await metrics.scrape())]
      .filter(([key]) => key.startsWith('http_server_request_duration_seconds_count'))
      .map(([key, value]) => [labelsOf(key), value])
  return { app, metrics, counts }
}

const labelsOf = (key: string) =>
  Object.fromEntries([...key.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]))

describe('the route label', () => {
  const labelled = async (path: string, init?: RequestInit) => {
    const { app, counts } = testApp()
    await app.request(path, init)
    const [[labels] = []] = await counts()
    return labels
  }

  it.each([
    ['/login', '/login'],
    ['/account/devices/42', '/account/devices/:id'],
    ['/assets/style.0abc.css', '/assets/*'],
  ])('of %s is the template %s', async (path, route) => {
    expect(await labelled(path)).toEqual({
      http_request_method: 'GET',
      http_response_status_code: '200',
      http_route: route,
      url_scheme: 'https',
    })
  })

  it('is that of the handler even when the answer is a refusal', async () => {
    expect(await labelled('/login', { method: 'POST' })).toMatchObject({
      http_response_status_code: '429',
      http_route: '/login',
    })
  })

  it.each(['/nope', '/account/nope', '/.env', '/login/'])('is absent for %s', async (path) => {
    expect(await labelled(path)).toEqual({
      http_request_method: 'GET',
      http_response_status_code: '404',
      url_scheme: 'https',
    })
  })
})

describe('the method label', () => {
  it('is _OTHER for a method that nobody knows, in any case', async () => {
    const { app, counts } = testApp()
    for (const method of ['BREW', 'get2', 'PROPFIND']) await app.request('/login', { method })
    const found = await counts()
    expect(found).toHaveLength(1)
    expect(found[0]?.[0]).toMatchObject({ http_request_method: '_OTHER' })
  })

  it('of HEAD is HEAD', async () => {
    const { app, counts } = testApp()
    await app.request('/login', { method: 'HEAD' })
    expect((await counts())[0]?.[0]).toMatchObject({
      http_request_method: 'HEAD',
      http_route: '/login',
    })
  })
})

it('10 000 hostile requests add no series once one of each kind was seen', async () => {
  const { app, metrics } = testApp()
  const one = (i: number) =>
    Promise.all([
      app.request(`/nope/${i}?code=${i}`),
      app.request(`/account/devices/${i}`),
      app.request('/login', { method: `M${i}` }),
      app.request(`/login?x=${i}`, { headers: { traceparent: `00-${i}`, host: `h${i}` } }),
      app.request(`/%00${i}%2e%2e`),
    ])
  await one(0)
  const before = (await metrics.scrape()).size
  for (let i = 1; i <= 2000; i += 1) await one(i)
  expect((await metrics.scrape()).size).toBe(before)
})

describe('a request', () => {
  it('is active until it is answered', async () => {
    const { app, metrics } = testApp()
    expect(await (await app.request('/slow')).text()).toBe('1')
    const key = 'http_server_active_requests{http_request_method="GET",url_scheme="https"}'
    expect((await metrics.scrape()).get(key)).toBe(0)
  })

  it('that fails is counted with its status and is no longer active', async () => {
    const { app, counts, metrics } = testApp()
    expect((await app.request('/broken')).status).toBe(500)
    expect((await counts())[0]?.[0]).toMatchObject({
      http_response_status_code: '500',
      http_route: '/broken',
    })
    const active = [...(await metrics.scrape())].filter(([key]) => key.includes('active_requests'))
    expect(active.every(([, value]) => value === 0)).toBe(true)
  })

  it('has a trace id of its own, the same in its context and its log lines', async () => {
    const { app } = testApp()
    const ids: unknown[] = []
    for (let i = 0; i < 50; i += 1) {
      const [id, inContext, hasRecorder] = (await (await app.request('/trace')).json()) as unknown[]
      expect(id).toMatch(/^[0-9a-f]{32}$/)
      expect(inContext).toBe(id)
      expect(hasRecorder).toBe(true)
      ids.push(id)
    }
    expect(new Set(ids).size).toBe(50)
  })

  it('cannot choose its trace id, unless its sender is trusted', async () => {
    const traceOf = async (options: Partial<RequestTelemetryOptions>, header = traceparent) => {
      const response = await testApp(options).app.request('/trace', {
        headers: { traceparent: header },
      })
      return ((await response.json()) as unknown[])[0]
    }
    expect(await traceOf({})).not.toBe('4bf92f3577b34da6a3ce929d0e0e4736')
    expect(await traceOf({ trustTraceparent: () => false })).not.toContain('4bf92f35')
    expect(await traceOf({ trustTraceparent: () => true })).toBe('4bf92f3577b34da6a3ce929d0e0e4736')
    for (const bad of [
      '',
      '00-x-y-01',
      `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
      'a'.repeat(9999),
    ])
      expect(await traceOf({ trustTraceparent: () => true }, bad)).toMatch(
        /^(?!0{32})[0-9a-f]{32}$/,
      )
  })
})

describe('the span of a request', () => {
  let collector: Collector
  let tracing: Tracing
  beforeEach(async () => {
    collector = await startCollector()
    tracing = startTracing({
      ...identity,
      url: `${collector.url}/v1/traces`,
      log: rememberingLog(),
      onExportFailure: () => undefined,
    })
  })
  afterEach(() => collector.close())

  it('has route, path and status, and never the query, a header or a body', async () => {
    const { app } = testApp()
    await app.request('/account/devices/42?code=s3cret', {
      headers: { cookie: 's3cret', 'x-h': 's3cret' },
    })
    await tracing.shutdown()
    expect(collector.spans[0]).toMatchObject({
      name: 'GET /account/devices/:id',
      kind: 2,
      status: 0,
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/account/devices/:id',
        'http.response.status_code': 200,
        'url.path': '/account/devices/42',
        'url.scheme': 'https',
      },
    })
    expect(Buffer.concat(collector.bodies).toString('latin1')).not.toContain('s3cret')
  })

  it('has the trace id that the request is known by, and the spans of its verbs', async () => {
    const { app } = testApp()
    const [id] = (await (await app.request('/trace')).json()) as unknown[]
    await app.request('/slow')
    await tracing.shutdown()
    expect(collector.spans.find(({ name }) => name === 'GET /trace')?.traceId).toBe(id)
    const slow = collector.spans.find(({ name }) => name === 'GET /slow')
    expect(collector.spans.find(({ name }) => name === 'verb')?.parentSpanId).toBe(slow?.spanId)
  })

  it('of a failed request says what kind of error it was, not its words', async () => {
    const { app } = testApp()
    await app.request('/broken')
    await tracing.shutdown()
    expect(collector.spans[0]).toMatchObject({
      status: 2,
      attributes: { 'error.type': 'ECONNREFUSED' },
    })
    expect(Buffer.concat(collector.bodies).toString('latin1')).not.toContain('abc123')
  })

  it('of an unknown page is named by its method alone', async () => {
    const { app } = testApp()
    await app.request('/nope/secret-path')
    await app.request('/nope', { method: 'BREW' })
    await tracing.shutdown()
    expect(collector.spans.map(({ name }) => name)).toEqual(['GET', 'HTTP'])
    expect(collector.spans.map(({ status }) => status)).toEqual([0, 0])
  })
})

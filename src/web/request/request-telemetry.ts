/**
 * The outermost middleware: times each request, gives it a trace id and, when spans are kept, its span. Nothing that a
 * request carries becomes a label: the route is the matched template, the method comes from a closed list.
 */

import type { Span } from '@opentelemetry/api'
import { parseTraceParent } from '@opentelemetry/core'
import type { MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import { type HttpMethod, httpMethods, type UrlScheme } from '#/telemetry/conventions.ts'
import { errorType } from '#/telemetry/log-errors.ts'
import type { HttpRequest } from '#/telemetry/recorder/traffic.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { newTraceId, withTraceId } from '#/telemetry/trace-id.ts'
import { markFailed, runInSpan, startRequestSpan } from '#/telemetry/tracing.ts'
import type { AppContext, AppEnv } from './context.ts'

export interface RequestTelemetryOptions {
  readonly recorder: Recorder
  /** How people reach this server, whatever a proxy in front makes of it. */
  readonly scheme: UrlScheme
  /** Whether the trace context of a sender is trusted; of none when left out. */
  readonly trustTraceparent?: (c: AppContext) => boolean
}

export function requestTelemetry(options: RequestTelemetryOptions): MiddlewareHandler<AppEnv> {
  const { recorder, scheme, trustTraceparent = () => false } = options
  return async (c, next) => {
    const start = performance.now()
    const method = knownMethod(c.req.method)
    const header = c.req.header('traceparent')
    const parent = header && trustTraceparent(c) ? parseTraceParent(header) : null
    const span = startRequestSpan(method, parent ?? undefined)
    const traceId = span?.spanContext().traceId ?? parent?.traceId ?? newTraceId()
    c.set('recorder', recorder)
    c.set('traceId', traceId)
    recorder.httpRequestStarted(method, scheme)
    let status = 500
    try {
      await withTraceId(traceId, () => runInSpan(span, next))
      status = c.res.status
    } finally {
      const seconds = (performance.now() - start) / 1000
      const request = { method, route: matchedRoute(c), status, scheme, seconds }
      recorder.httpRequestEnded(request)
      if (span) endSpan(span, c, request)
    }
  }
}

/** The template of the handler that was meant; middleware patterns are not routes. */
export function matchedRoute(c: AppContext): string | undefined {
  return matchedRoutes(c).findLast(
    ({ method, path }) =>
      path !== '/*' && path !== '*' && (method !== 'ALL' || !path.includes('*')),
  )?.path
}

/** The path is kept, the query never: it may hold codes and tokens. */
function endSpan(span: Span, c: AppContext, { method, route, status, scheme }: HttpRequest) {
  const verb = method === '_OTHER' ? 'HTTP' : method
  span.updateName(route === undefined ? verb : `${verb} ${route}`)
  span.setAttributes({
    'http.request.method': method,
    ...(route !== undefined && { 'http.route': route }),
    'http.response.status_code': status,
    'url.path': c.req.path,
    'url.scheme': scheme,
  })
  if (status >= 500) markFailed(span, c.error ? errorType(c.error) : String(status))
  span.end()
}

const methods: ReadonlySet<string> = new Set(httpMethods)

const knownMethod = (method: string): HttpMethod =>
  methods.has(method) ? (method as HttpMethod) : '_OTHER'

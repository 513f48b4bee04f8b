/**
 * Spans: one for each request and one for each domain verb that does I/O, sent by OTLP when an endpoint is set. They say
 * what happened and how long it took; of an error they tell its kind, never its words.
 */

import type { SpanContext } from '@opentelemetry/api'
import {
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { type ExportWatch, watchExports } from './export-state.ts'
import { errorType } from './log-errors.ts'
import { createResource, type ServiceIdentity } from './resource.ts'
import { withinTime } from './within-time.ts'

export interface TracingOptions extends ServiceIdentity, ExportWatch {
  /** The full address, such as `http://collector:4318/v1/traces`; undefined: no spans. */
  readonly url: string | undefined
  /** Share of the traces begun here that are kept, 0 to 1; a trusted caller's decision is followed. */
  readonly ratio?: number
  readonly headers?: Readonly<Record<string, string>>
}

export interface Tracing {
  /** Sends what is left, within a bound, and stops. Never rejects. */
  shutdown(timeoutMs?: number): Promise<void>
}

const shutdownTimeoutMs = 5000

/** Of the running process; undefined when spans are off, so that they then cost one comparison. */
let tracer: Tracer | undefined

/** Starts tracing for the process; without an endpoint nothing is started. */
export function startTracing(options: TracingOptions): Tracing {
  if (options.url === undefined) return { shutdown: () => Promise.resolve() }
  const provider = new TracerProvider({
    resource: createResource(options),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.ratio ?? 1) }),
    spanProcessors: [new BatchSpanProcessor({ exporter: createExporter(options, options.url) })],
  })
  const contexts = new AsyncLocalStorageContextManager().enable()
  context.setGlobalContextManager(contexts)
  tracer = provider.getTracer('authgate', options.serviceVersion)
  return {
    async shutdown(timeoutMs = shutdownTimeoutMs) {
      tracer = undefined
      context.disable()
      try {
        await withinTime(provider.shutdown(), timeoutMs)
      } catch (error) {
        options.log.warn({ error: errorType(error) }, 'the last spans could not be exported')
      }
    },
  }
}

/** Runs a domain verb inside a span of that name; a rejection marks the span and goes on. */
export function span<T>(name: string, run: () => Promise<T>): Promise<T> {
  if (!tracer) return run()
  return tracer.startActiveSpan(name, async (active) => {
    try {
      return await run()
    } catch (error) {
      markFailed(active, errorType(error))
      throw error
    } finally {
      active.end()
    }
  })
}

/** The span of a request, or undefined when spans are off. `parent` is only for callers that may be believed. */
export function startRequestSpan(
  method: string,
  parent: SpanContext | undefined,
): Span | undefined {
  const within = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT
  return tracer?.startSpan(method, { kind: SpanKind.SERVER }, within)
}

/** Runs what belongs to a request's span, so that spans made in it become its children. */
export const runInSpan = <T>(active: Span | undefined, run: () => T): T =>
  active ? context.with(trace.setSpan(context.active(), active), run) : run()

/** Marks a span as failed. Messages may quote what was sent to us, so only the kind of error is kept. */
export function markFailed(active: Span, type: string): void {
  active.setAttribute('error.type', type)
  active.addEvent('exception', { 'exception.type': type })
  active.setStatus({ code: SpanStatusCode.ERROR })
}

function createExporter(options: TracingOptions, url: string) {
  const exporter = new OTLPTraceExporter({
    url,
    ...(options.headers && { headers: { ...options.headers } }),
  })
  exporter.export = watchExports('traces', options, exporter.export.bind(exporter))
  return exporter
}

/** A collector for tests: takes OTLP over HTTP and decodes both encodings without any code of the SDK's. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeMetrics, decodeSpans, type OtlpMetric, type OtlpSpan } from './otlp-protobuf.ts'

interface ReceivedMetrics {
  readonly resource: Readonly<Record<string, unknown>>
  readonly metrics: readonly OtlpMetric[]
}

export interface Collector {
  readonly url: string
  readonly metrics: ReceivedMetrics[]
  readonly spans: OtlpSpan[]
  readonly headers: IncomingHttpHeaders[]
  readonly bodies: Buffer[]
  /** Answers with this status from now on; `undefined` never answers. */
  answerWith(status: number | undefined): void
  close(): Promise<void>
}

export async function startCollector(): Promise<Collector> {
  const metrics: ReceivedMetrics[] = []
  const spans: OtlpSpan[] = []
  const headers: IncomingHttpHeaders[] = []
  const bodies: Buffer[] = []
  let status: number | undefined = 200
  const keep = ({ url, headers: { 'content-type': type } }: IncomingMessage, body: Buffer) => {
    if (url === '/v1/traces') spans.push(...decodeSpans(body))
    else if (type === 'application/json') metrics.push(fromJson(JSON.parse(body.toString())))
    else metrics.push(decodeMetrics(body))
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      headers.push(request.headers)
      bodies.push(body)
      if (status === 200) keep(request, body)
      if (status !== undefined) response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    metrics,
    spans,
    headers,
    bodies,
    answerWith(next) {
      status = next
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface JsonValue {
  stringValue?: string
  intValue?: number | string
  doubleValue?: number
  boolValue?: boolean
}
interface JsonPoint {
  attributes: { key: string; value: JsonValue }[]
  asDouble?: number
  asInt?: number | string
  count?: number | string
  sum?: number
  bucketCounts?: (number | string)[]
  explicitBounds?: number[]
}
interface JsonMetric {
  name: string
  unit: string
  gauge?: { dataPoints: JsonPoint[] }
  sum?: { dataPoints: JsonPoint[]; isMonotonic: boolean; aggregationTemporality: number }
  histogram?: { dataPoints: JsonPoint[]; aggregationTemporality: number }
}
interface JsonRequest {
  resourceMetrics: {
    resource: { attributes: JsonPoint['attributes'] }
    scopeMetrics: { metrics: JsonMetric[] }[]
  }[]
}

function fromJson({ resourceMetrics }: JsonRequest): ReceivedMetrics {
  const [first] = resourceMetrics
  if (!first) throw new Error('an export without a resource')
  const metrics = first.scopeMetrics.flatMap((scope) => scope.metrics.map(metricFromJson))
  return { resource: attributesFromJson(first.resource.attributes), metrics }
}

function metricFromJson({ name, unit, gauge, sum, histogram }: JsonMetric): OtlpMetric {
  const points = (gauge ?? sum ?? histogram)?.dataPoints ?? []
  return {
    name,
    unit,
    kind: gauge ? 'gauge' : sum ? 'sum' : 'histogram',
    monotonic: sum?.isMonotonic ?? false,
    temporality: (sum ?? histogram)?.aggregationTemporality,
    points: points.map((point) => ({
      attributes: attributesFromJson(point.attributes),
      value: Number(point.asDouble ?? point.asInt ?? 0),
      count: Number(point.count ?? 0),
      sum: point.sum ?? 0,
      bucketCounts: (point.bucketCounts ?? []).map(Number),
      bounds: point.explicitBounds ?? [],
    })),
  }
}

const attributesFromJson = (pairs: JsonPoint['attributes']) =>
  Object.fromEntries(
    pairs.map(({ key, value }) => [
      key,
      value.stringValue ?? value.doubleValue ?? value.boolValue ?? Number(value.intValue),
    ]),
  )

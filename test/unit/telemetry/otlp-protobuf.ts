/** Reads OTLP's protobuf messages by their field numbers (opentelemetry-proto), as far as tests need them. */

interface OtlpPoint {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly value: number
  readonly count: number
  readonly sum: number
  readonly bucketCounts: readonly number[]
  readonly bounds: readonly number[]
}

export interface OtlpMetric {
  readonly name: string
  readonly unit: string
  readonly kind: 'gauge' | 'sum' | 'histogram'
  readonly monotonic: boolean
  /** 1 delta, 2 cumulative. */
  readonly temporality: number | undefined
  readonly points: readonly OtlpPoint[]
}

export interface OtlpSpan {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly { name: string; attributes: Readonly<Record<string, unknown>> }[]
  /** 2 is an error. */
  readonly status: number
  readonly statusMessage: string
}

export function decodeMetrics(body: Buffer) {
  const [resourceMetrics] = messages(fieldsOf(body), 1)
  if (!resourceMetrics) throw new Error('an export without a resource')
  const metrics = messages(resourceMetrics, 2).flatMap((scope) => messages(scope, 2))
  const [resource] = messages(resourceMetrics, 1)
  return {
    resource: resource ? attributes(resource, 1) : {},
    metrics: metrics.map(decodeMetric),
  }
}

export const decodeSpans = (body: Buffer): OtlpSpan[] =>
  messages(fieldsOf(body), 1)
    .flatMap((resource) => messages(resource, 2))
    .flatMap((scope) => messages(scope, 2))
    .map(decodeSpan)

function decodeMetric(metric: Fields): OtlpMetric {
  const kinds = { gauge: 5, sum: 7, histogram: 9 } as const
  const kind = metric.has(5) ? 'gauge' : metric.has(7) ? 'sum' : 'histogram'
  const [data] = messages(metric, kinds[kind])
  if (!data) throw new Error('a metric without data')
  return {
    name: text(metric, 1),
    unit: text(metric, 3),
    kind,
    monotonic: kind === 'sum' && integer(data, 3) === 1,
    temporality: kind === 'gauge' ? undefined : integer(data, 2),
    points: messages(data, 1).map(kind === 'histogram' ? histogramPoint : numberPoint),
  }
}

const numberPoint = (point: Fields): OtlpPoint => ({
  attributes: attributes(point, 7),
  value: point.has(6) ? Number(bytes(point, 6).readBigInt64LE()) : bytes(point, 4).readDoubleLE(),
  count: 0,
  sum: 0,
  bucketCounts: [],
  bounds: [],
})

const histogramPoint = (point: Fields): OtlpPoint => ({
  attributes: attributes(point, 9),
  value: 0,
  count: Number(bytes(point, 4).readBigUInt64LE()),
  sum: bytes(point, 5).readDoubleLE(),
  bucketCounts: eights(point, 6).map((at) => Number(at.readBigUInt64LE())),
  bounds: eights(point, 7).map((at) => at.readDoubleLE()),
})

function decodeSpan(span: Fields): OtlpSpan {
  const [status = new Map()] = messages(span, 15)
  return {
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    parentSpanId: hex(span, 4),
    name: text(span, 5),
    kind: integer(span, 6),
    attributes: attributes(span, 9),
    events: messages(span, 11).map((event) => ({
      name: text(event, 2),
      attributes: attributes(event, 3),
    })),
    status: integer(status, 3),
    statusMessage: text(status, 2),
  }
}

type Fields = ReadonlyMap<number, readonly (Buffer | bigint)[]>

/** Protocol buffers' wire format: a tag, then a varint, 8 bytes, 4 bytes, or a length and so many bytes. */
function fieldsOf(body: Buffer): Fields {
  const fields = new Map<number, (Buffer | bigint)[]>()
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = body.readUInt8(at++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const take = (length: number) => {
    at += length
    return body.subarray(at - length, at)
  }
  while (at < body.length) {
    const tag = Number(varint())
    const readers: Record<number, () => Buffer | bigint> = {
      0: varint,
      1: () => take(8),
      2: () => take(Number(varint())),
      5: () => take(4),
    }
    const value = readers[tag & 7]?.()
    if (value === undefined) throw new Error(`wire type ${tag & 7}`)
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value])
  }
  return fields
}

const all = (fields: Fields, number: number): Buffer[] =>
  (fields.get(number) ?? []).filter((value): value is Buffer => typeof value !== 'bigint')
const messages = (fields: Fields, number: number): Fields[] => all(fields, number).map(fieldsOf)
const bytes = (fields: Fields, number: number): Buffer => all(fields, number)[0] ?? Buffer.alloc(8)
const text = (fields: Fields, number: number) => all(fields, number)[0]?.toString() ?? ''
const hex = (fields: Fields, number: number) => all(fields, number)[0]?.toString('hex') ?? ''
const integer = (fields: Fields, number: number) => Number(fields.get(number)?.[0] ?? 0n)

/** A packed list of 8-byte numbers. */
const eights = (fields: Fields, number: number): Buffer[] =>
  all(fields, number).flatMap((packed) =>
    Array.from({ length: packed.length / 8 }, (_, i) => packed.subarray(i * 8, i * 8 + 8)),
  )

const attributes = (fields: Fields, number: number): Record<string, unknown> =>
  Object.fromEntries(
    messages(fields, number).map((pair) => [text(pair, 1), anyValue(messages(pair, 2)[0])]),
  )

function anyValue(value: Fields | undefined): unknown {
  if (!value) return undefined
  if (value.has(1)) return text(value, 1)
  if (value.has(2)) return integer(value, 2) === 1
  if (value.has(3)) return integer(value, 3)
  return bytes(value, 4).readDoubleLE()
}

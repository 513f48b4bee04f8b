/** Takes the metrics that replicas push (OTLP/HTTP, JSON): what a process has counted is known up to its last push. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seriesKey } from '../../support/prometheus.ts'

export interface Collector {
  readonly url: string
  /** By `service.instance.id`: when the last push was heard, and the counters in it. */
  readonly lives: ReadonlyMap<string, Life>
  close(): void
}

export interface Life {
  readonly heardAt: number
  readonly counters: ReadonlyMap<string, number>
}

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string }
}

interface Push {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeMetrics: readonly { readonly metrics: readonly Metric[] }[]
  }[]
}

interface Metric {
  readonly name: string
  readonly sum?: {
    readonly dataPoints: readonly {
      readonly attributes?: readonly Attribute[]
      readonly asDouble?: number
      readonly asInt?: number | string
    }[]
  }
}

export async function startCollector(): Promise<Collector> {
  const lives = new Map<string, Life>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.once('end', () => {
      keep(lives, JSON.parse(Buffer.concat(chunks).toString('utf8')) as Push)
      response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1/metrics`,
    lives,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

const labelsOf = (attributes: readonly Attribute[] = []) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? '']))

function keep(lives: Map<string, Life>, { resourceMetrics }: Push) {
  for (const { resource, scopeMetrics } of resourceMetrics) {
    const counters = new Map<string, number>()
    for (const { name, sum } of scopeMetrics.flatMap(({ metrics }) => metrics))
      for (const { attributes, asDouble, asInt = 0 } of sum?.dataPoints ?? [])
        counters.set(seriesKey(name, labelsOf(attributes)), asDouble ?? Number(asInt))
    const instance = labelsOf(resource.attributes)['service.instance.id'] ?? ''
    lives.set(instance, { heardAt: Date.now(), counters })
  }
}

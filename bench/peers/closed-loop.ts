/** A closed loop: so many connections, each of which sends its next request when the last one was answered. */
import { Agent, type IncomingMessage, request } from 'node:http'
import { cpuTime } from '../bench/targets.ts'

export interface Answer {
  readonly status: number
  readonly location: string
  readonly text: string
}

export interface Message {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Makes it a POST. */
  readonly form?: Readonly<Record<string, string>>
}

/** One connection that is kept open; one request at a time. */
export type Send = (message: Message) => Promise<Answer>

/** What a connection does over and over; it throws when the answer is not a good one. */
export type Step = () => Promise<void>

export interface Measured {
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Processor time of the server for one step. */
  readonly cpuMicroseconds: number
  /** The part of its core that the server has used: less than all of it says that something else was the limit. */
  readonly busy: number
}

export function openConnection(origin: string): { send: Send; close: () => void } {
  const { hostname, port } = new URL(origin)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const send: Send = ({ path, headers, form }) =>
    new Promise((resolve, reject) => {
      const body = form && new URLSearchParams(form).toString()
      const sent = request(
        {
          agent,
          hostname,
          port,
          path,
          method: body === undefined ? 'GET' : 'POST',
          headers: {
            ...headers,
            ...(body !== undefined && {
              'content-type': 'application/x-www-form-urlencoded',
              'content-length': Buffer.byteLength(body),
            }),
          },
        },
        (response) => readAnswer(response).then(resolve, reject),
      )
      sent.on('error', reject)
      sent.end(body)
    })
  return { send, close: () => agent.destroy() }
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  response.setEncoding('utf8')
  let text = ''
  for await (const part of response) text += part
  return { status: response.statusCode ?? 0, location: response.headers.location ?? '', text }
}

/** Lets every step run again and again for so many seconds. */
export async function runLoops(
  steps: readonly Step[],
  { pid, seconds }: { pid: number; seconds: number },
): Promise<Measured> {
  const times: number[] = []
  const cpuBefore = cpuTime(pid)
  const begun = performance.now()
  const end = begun + seconds * 1000
  await Promise.all(
    steps.map(async (step) => {
      for (let start = performance.now(); start < end; ) {
        await step()
        const now = performance.now()
        times.push(now - start)
        start = now
      }
    }),
  )
  const elapsed = (performance.now() - begun) / 1000
  const cpu = cpuTime(pid) - cpuBefore
  times.sort((a, b) => a - b)
  const percentile = (part: number) => times[Math.floor(times.length * part)] ?? Number.NaN
  return {
    perSecond: times.length / elapsed,
    p50: percentile(0.5),
    p99: percentile(0.99),
    cpuMicroseconds: (cpu * 1e6) / times.length,
    busy: cpu / elapsed,
  }
}

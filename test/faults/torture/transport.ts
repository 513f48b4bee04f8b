/** HTTP as honest software speaks it: bounded waits, another try after 429, 503 and lost connections, at another replica. */
import { Agent, type IncomingHttpHeaders, request as openRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Books, count, find } from './books.ts'
import type { Dice } from './dice.ts'

export interface Request {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly location: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** `unsure`: how many earlier tries were not answered, or answered 5xx, and may have had their effect all the same. */
export interface Patient {
  readonly answer: Answer
  readonly unsure: number
  /** Whether a try ended with its connection: the process was killed, and may have done what it could not say. */
  readonly cutOff: boolean
}

export interface Transport {
  /** Undefined when no answer came. */
  once(request: Request): Promise<Answer | undefined>
  /** Tries until there is an answer that says yes or no; throws `GivenUp` after minutes without one. */
  patiently(request: Request): Promise<Patient>
}

export class GivenUp extends Error {
  override readonly name = 'GivenUp'
}

/** As long as an honest client waits: the server's own bound and a margin. */
export const boundMs = 15_000
const patienceMs = 180_000

export function createTransport(books: Books, ports: readonly number[], dice: Dice): Transport {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 })
  const address = createAddresses(dice)
  const once = async (request: Request, port = dice.pick(ports)) => {
    const started = performance.now()
    const answer = await exchange(agent, port, address(), request)
    notice(books, request, answer, performance.now() - started)
    return answer === 'late' ? undefined : answer
  }
  return {
    once: (request) => once(request),
    async patiently(request) {
      const deadline = performance.now() + patienceMs
      let port = dice.pick(ports)
      let cutOff = false
      for (let unsure = 0; ; ) {
        const answer = await once(request, port)
        if (answer && answer.status < 500 && answer.status !== 429)
          return { answer, unsure, cutOff }
        cutOff ||= answer === undefined
        if (answer?.status !== 429 && request.method === 'POST') {
          unsure += 1
          count(books.unsure, request.path.replace(/[0-9a-f-]{36}/, ':id'))
        }
        if (performance.now() > deadline)
          throw new GivenUp(`${request.path} was not answered for ${patienceMs / 1000} s`)
        await sleep(pauseMs(answer, dice))
        port = dice.pick(ports)
      }
    },
  }
}

const pauseMs = (answer: Answer | undefined, dice: Dice) => {
  const seconds = Math.min(Number(answer?.headers['retry-after'] ?? 0), 5)
  return seconds * 1000 + dice.between(100, 700)
}

/** Each request comes from an address of its own, as through a proxy: limits by address are not what is tried here. */
function createAddresses(dice: Dice) {
  let last = Math.floor(dice.between(0, 2 ** 21))
  return () => {
    last = (last + 1) % 2 ** 22
    return `100.${64 + (last >>> 16)}.${(last >>> 8) & 255}.${last & 255}`
  }
}

function notice(books: Books, request: Request, answer: Answer | 'late' | undefined, ms: number) {
  const what = `${request.method ?? 'GET'} ${request.path.split('?')[0]}`
  if (ms > books.slowest.ms) books.slowest = { ms, what }
  if (answer === 'late') find(books, 'unanswered', `${what} had no answer for ${boundMs / 1000} s`)
  if (answer === 'late' || answer === undefined) return
  books.events += 1
  if (answer.status < 500 && answer.status !== 429) books.served += 1
  count(books.statuses, answer.status)
  if (answer.status >= 500 && answer.status !== 503)
    find(books, 'server errors', `${what} answered ${answer.status}: ${gist(answer)}`)
  else if (answer.status === 503 && answer.headers['retry-after'] === undefined)
    find(books, 'server errors', `${what} answered 503 without Retry-After`)
}

/** What a page or an error says, in a line. */
export const gist = ({ text }: Answer): string =>
  (/<h1[^>]*>([^<]+)/.exec(text)?.[1] ?? text.slice(0, 160)).replaceAll('\n', ' ')

/** Undefined when the connection was refused or lost. */
function exchange(agent: Agent, port: number, address: string, request: Request) {
  const { method = 'GET', path, headers, form } = request
  const body = form && new URLSearchParams(form).toString()
  return new Promise<Answer | 'late' | undefined>((resolve) => {
    const sent = openRequest({
      agent,
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: {
        'x-forwarded-for': address,
        ...(body !== undefined && {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': Buffer.byteLength(body),
        }),
        ...headers,
      },
    })
    const timer = setTimeout(() => {
      resolve('late')
      sent.destroy()
    }, boundMs)
    const settle = (answer: Answer | undefined) => {
      clearTimeout(timer)
      resolve(answer)
    }
    sent.once('error', () => settle(undefined))
    sent.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.once('error', () => settle(undefined))
      response.once('close', () => {
        if (!response.complete) return settle(undefined)
        const { statusCode = 0, headers: answered } = response
        settle({ status: statusCode, location: answered.location ?? '', headers: answered, text })
      })
    })
    sent.end(body)
  })
}

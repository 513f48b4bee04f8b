/** Requests as bytes on a connection of their own, so that nothing between the test and the server mends them. */
import { connect } from 'node:net'

export interface WireRequest {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
  /** `broken`: the length says more than is sent, and the connection is closed behind it. */
  readonly framing: 'length' | 'chunked' | 'broken'
}

export interface WireAnswer {
  /** Undefined when the connection was closed without an answer. */
  readonly status: number | undefined
  readonly headers: ReadonlyMap<string, string>
  /** Everything that came back, headers included, as Latin-1. */
  readonly raw: string
  readonly setCookies: readonly string[]
}

const latin1 = (text: string) => Buffer.from(text, 'latin1')

/** What goes over the wire; characters beyond Latin-1 are cut to their last byte, as careless clients do. */
export function bytesOf({ method, target, headers, body, framing }: WireRequest): Buffer {
  const hasBody = body.length > 0 || framing === 'broken'
  const length = framing === 'broken' ? body.length + 10 : body.length
  const framed: [string, string][] = hasBody
    ? [framing === 'chunked' ? ['transfer-encoding', 'chunked'] : ['content-length', `${length}`]]
    : [['content-length', '0']]
  const lines = [...headers, ...framed, ['connection', 'close'] as const].map(
    ([name, value]) => `${name}: ${value}`,
  )
  const head = latin1(`${[`${method} ${target} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`)
  if (framing !== 'chunked' || !hasBody) return Buffer.concat([head, body])
  return Buffer.concat([
    head,
    latin1(`${body.length.toString(16)}\r\n`),
    body,
    latin1('\r\n0\r\n\r\n'),
  ])
}

const maxMs = 15_000

/** The answer to a request; rejects when there is neither one nor an end of the connection in time. */
export function exchange(port: number, request: WireRequest): Promise<WireAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>()
  const socket = connect({ port, host: '127.0.0.1' })
  let raw = ''
  socket.setEncoding('latin1').setTimeout(maxMs, () => {
    socket.destroy()
    reject(new Error(`no answer within ${maxMs} ms`))
  })
  socket.on('data', (text) => {
    raw += text
  })
  // A server that has refused a long request closes while it is still being sent.
  socket.on('error', () => {})
  socket.on('close', () => resolve(parse(raw)))
  socket.write(bytesOf(request))
  // Whoever ends before the answer gets none: only a request that breaks off does.
  if (request.framing === 'broken') socket.end()
  return promise
}

function parse(raw: string): WireAnswer {
  const [head = ''] = raw.split('\r\n\r\n', 1)
  const [first = '', ...lines] = head.split('\r\n')
  const status = /^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]
  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  return {
    status: status === undefined ? undefined : Number(status),
    headers: new Map(pairs),
    raw,
    setCookies: pairs.filter(([name]) => name === 'set-cookie').map(([, value]) => value),
  }
}

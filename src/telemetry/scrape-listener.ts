/** The exporter port: a server of its own for `/metrics`, so that the public port can never show it. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { AddressInfo, Server } from 'node:net'
import { promisify } from 'node:util'
import { gzip as gzipCallback } from 'node:zlib'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import type { Log } from './log.ts'
import { errorType } from './log-errors.ts'
import { logListenerErrors } from './log-listener-errors.ts'
import { prometheusContentType } from './prometheus-text.ts'
import { withinTime } from './within-time.ts'

export interface ScrapeOptions {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** Bearer token that scrapes must send; undefined for none. */
  readonly token: string | undefined
  /** Rate limit on wrong tokens; undefined for none. */
  readonly guess?: (address: string) => TokenGuess
  /** A scrape showed a token, and it was wrong. */
  readonly onWrongToken?: (address: string) => void
  readonly collect: () => Promise<string>
  readonly log?: Pick<Log, 'warn'>
  /** When a scrape is given up: beyond what a collection can take, below what scrapers wait (6 s). */
  readonly collectTimeoutMs?: number
}

/** One attempt at the token, counted before it is looked at. */
export interface TokenGuess {
  readonly isAllowed: boolean
  /** True for the first refusal in its window: the one that is logged. */
  readonly isFirstRefusal: boolean
  /** For a token that was right. */
  refund(): void
}

export interface ScrapeListener {
  readonly port: number
  /** Stops listening; scrapes under way get a moment to end. */
  close(): Promise<void>
}

const closeTimeoutMs = 1000

/** Resolves when the port is open; rejects when it cannot be. */
export async function startScrapeListener(options: ScrapeOptions): Promise<ScrapeListener> {
  const server = createAdaptorServer({
    fetch: createScrapeApp(options).fetch,
    serverOptions: { headersTimeout: 5000, requestTimeout: 10_000 },
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, () => {
      server.off('error', reject)
      if (options.log) logListenerErrors(server as Server, options.log)
      resolve()
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          if ('closeAllConnections' in server) server.closeAllConnections()
        }, closeTimeoutMs)
        server.close(() => {
          clearTimeout(timer)
          resolve()
        })
      }),
  }
}

/** `GET` and `HEAD /metrics`, nothing else. */
function createScrapeApp(options: ScrapeOptions) {
  const { token } = options
  const app = new Hono<{ Bindings: Partial<HttpBindings> }>()
  if (token !== undefined) app.use('/metrics', requireToken(token, options))
  app.get('/metrics', (c) => scrape(c, options))
  app.all('/metrics', (c) => c.text('method not allowed\n', 405, { Allow: 'GET, HEAD' }))
  return app
}

type Listening = { Bindings: Partial<HttpBindings> }

/** RFC 6750 §2.1. Digests have one length, so the comparison's time tells nothing of the token's. */
function requireToken(
  token: string,
  { guess, onWrongToken, log }: ScrapeOptions,
): MiddlewareHandler<Listening> {
  const expected = digest(token)
  const unauthorized = (c: Context) =>
    c.text('unauthorized\n', 401, { 'WWW-Authenticate': 'Bearer' })
  return async (c, next) => {
    const [, presented] = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '') ?? []
    if (presented === undefined) return unauthorized(c)
    const address = c.env?.incoming?.socket.remoteAddress ?? 'unknown'
    const attempt = guess?.(address)
    if (attempt?.isAllowed === false) {
      if (attempt.isFirstRefusal) log?.warn({ address }, 'repeated wrong values of METRICS_TOKEN')
      return c.text('too many wrong tokens\n', 429, { 'Retry-After': '60' })
    }
    if (!timingSafeEqual(digest(presented), expected)) {
      onWrongToken?.(address)
      return unauthorized(c)
    }
    attempt?.refund()
    return next()
  }
}

async function scrape(c: Context, { collect, log, collectTimeoutMs = 6000 }: ScrapeOptions) {
  const text = await withinTime(collect(), collectTimeoutMs).catch((error: unknown) => {
    log?.warn({ error: errorType(error) }, 'a scrape could not be answered')
  })
  if (text === undefined) return c.text('metrics cannot be collected\n', 503)
  c.header('Content-Type', prometheusContentType)
  c.header('Cache-Control', 'no-store')
  c.header('Vary', 'Accept-Encoding')
  if (!acceptsGzip(c.req.header('accept-encoding') ?? '')) return c.body(text)
  c.header('Content-Encoding', 'gzip')
  return c.body(new Uint8Array(await gzip(text)))
}

/** RFC 9110 §12.5.3: a weight of 0 refuses. */
const acceptsGzip = (header: string) =>
  header.split(',').some((coding) => /^\s*gzip\s*(?:;(?!\s*q=0(?:\.0*)?\s*$).*)?$/i.test(coding))

const digest = (text: string) => createHash('sha256').update(text).digest()

const gzip = promisify(gzipCallback)

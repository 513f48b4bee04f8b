/**
 * The one way in which this server asks addresses that clients name (`jwks_uri`, `request_uri`, a sector identifier, a
 * logout URI). Such a name can lead into our own network (SSRF), so it is resolved first, every address is judged, and
 * the connection goes to those very addresses: a name that answers otherwise the second time gains nothing. https
 * only, no redirect is followed, time and size are bounded.
 */
import { promises as dns, type LookupAddress } from 'node:dns'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { OutboundPurpose, OutboundResult } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import { isOwnAddress, isPublicAddress } from './public-address.ts'
import { readBounded, TooLargeError } from './read-bounded.ts'

interface FetchedDocument {
  readonly text: string
  /** Media type in lower case, without parameters. */
  readonly contentType: string | undefined
}

interface DocumentRequest {
  readonly purpose: OutboundPurpose
  readonly url: string
  /** Media types that are asked for. */
  readonly accept?: string
  /** POSTs a form; undefined GETs. */
  readonly form?: Readonly<Record<string, string>>
}

/** Answers the body of a 2xx; throws an `OutboundError` for everything else. */
export type FetchDocument = (request: DocumentRequest) => Promise<FetchedDocument>

export interface FetchOptions {
  /** For development and closed networks: private addresses are asked too, and this machine also by plain http. */
  readonly privateAddresses: boolean
  readonly recorder: {
    outboundRequested(purpose: OutboundPurpose, result: OutboundResult, seconds: number): void
  }
  readonly resolve?: (host: string) => Promise<LookupAddress[]>
  /** For everything together, from the name to the last byte. */
  readonly timeoutMs?: number
}

/** Why a document could not be had; the message is for the log. */
class OutboundError extends Error {
  override readonly name = 'OutboundError'
  readonly result: Exclude<OutboundResult, 'success'>

  constructor(result: OutboundError['result'], message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.result = result
  }
}

const defaultTimeoutMs = 5000
const maxBodyBytes = 64 * 1024

/** Makes the function by which everything in this server asks the addresses of clients. */
export function createFetchDocument(options: FetchOptions): FetchDocument {
  return (request) =>
    span(`outbound.${request.purpose}`, async () => {
      const start = performance.now()
      const record = (result: OutboundResult) =>
        options.recorder.outboundRequested(
          request.purpose,
          result,
          (performance.now() - start) / 1000,
        )
      try {
        const document = await fetchInTime(request, options)
        record('success')
        return document
      } catch (error) {
        const failure = asOutboundError(error)
        record(failure.result)
        throw failure
      }
    })
}

async function fetchInTime(request: DocumentRequest, options: FetchOptions) {
  const late = AbortSignal.timeout(options.timeoutMs ?? defaultTimeoutMs)
  const { promise: ended, reject } = Promise.withResolvers<never>()
  late.addEventListener('abort', () => reject(late.reason), { once: true })
  // Resolving cannot be broken off, only left behind.
  return Promise.race([fetchResolved(request, options, late), ended])
}

async function fetchResolved(request: DocumentRequest, options: FetchOptions, signal: AbortSignal) {
  const url = requireUrl(request.url)
  const addresses = await requireAddresses(url, options)
  return readDocument(await send(url, request, { signal, addresses }))
}

function requireUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['https:', 'http:'].includes(url.protocol) || url.username || url.password)
    throw new OutboundError('refused', 'not an https address')
  return url
}

/** All addresses of a name must be allowed: one that mixes is up to something. */
async function requireAddresses(
  url: URL,
  { privateAddresses, resolve = resolveAll }: FetchOptions,
): Promise<LookupAddress[]> {
  if (url.protocol === 'http:' && !privateAddresses)
    throw new OutboundError('refused', 'not an https address')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const addresses = isIP(host) ? [{ address: host, family: isIP(host) }] : await resolve(host)
  if (addresses.length === 0) throw new OutboundError('failed', 'the host name does not resolve')
  const isAllowed = ({ address }: LookupAddress) =>
    url.protocol === 'http:' ? isOwnAddress(address) : privateAddresses || isPublicAddress(address)
  if (!addresses.every(isAllowed))
    throw new OutboundError('refused', 'the host name resolves to an address that is not allowed')
  return addresses
}

const resolveAll = (host: string) => dns.lookup(host, { all: true })

interface Connection {
  readonly signal: AbortSignal
  readonly addresses: readonly LookupAddress[]
}

function send(
  url: URL,
  { form, accept = '*/*' }: DocumentRequest,
  { signal, addresses }: Connection,
): Promise<IncomingMessage> {
  const body = form === undefined ? undefined : new URLSearchParams(form).toString()
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = (url.protocol === 'http:' ? requestHttp : requestHttps)(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      accept,
      'accept-encoding': 'identity',
      'user-agent': 'authgate',
      ...(body !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    // A connection of its own: a kept one would go to wherever the name led before.
    agent: false,
    lookup: lookupAmong(addresses),
    signal,
  })
  request.once('response', resolve).on('error', reject).end(body)
  return promise
}

/** Answers what was judged, whatever is asked. */
const lookupAmong =
  (addresses: readonly LookupAddress[]): LookupFunction =>
  (_host, options, done) => {
    const [first] = addresses
    if (options.all) done(null, [...addresses])
    else done(null, first?.address ?? '', first?.family)
  }

async function readDocument(response: IncomingMessage): Promise<FetchedDocument> {
  const status = response.statusCode ?? 0
  if (status < 200 || status > 299) {
    response.destroy()
    throw new OutboundError('failed', `it answered ${status}`)
  }
  const text = await readBounded(response, maxBodyBytes)
  return {
    text,
    contentType: response.headers['content-type']?.split(';')[0]?.trim().toLowerCase(),
  }
}

function asOutboundError(error: unknown): OutboundError {
  if (error instanceof OutboundError) return error
  if (error instanceof TooLargeError) return new OutboundError('failed', error.message)
  const name = error instanceof Error ? error.name : ''
  if (name === 'TimeoutError' || name === 'AbortError')
    return new OutboundError('timeout', 'it took too long')
  return new OutboundError('failed', 'it could not be reached', { cause: error })
}

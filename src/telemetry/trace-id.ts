/** The id that ties a request's log lines, audit rows, error page and spans together, whether or not spans are kept. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'

const current = new AsyncLocalStorage<string>()

/** Runs everything that belongs to one request. */
export const withTraceId = <T>(traceId: string, run: () => T): T => current.run(traceId, run)

/** The trace id of the request this code runs for; undefined outside of requests. */
export const currentTraceId = (): string | undefined => current.getStore()

/** W3C Trace Context §3.2.2.3: 32 hexadecimal digits, not all zero. */
export const newTraceId = (): string => randomUUID().replaceAll('-', '')

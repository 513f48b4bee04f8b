import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { AppEnv } from '#/web/request/context.ts'

/**
 * Refuses a body of more than `maxSize` bytes. Node holds a body to its Content-Length, so the number is enough to
 * know; only a body without one is counted, which takes a stream that is slow to set up.
 */
export function limitBody({
  maxSize,
  onError,
}: {
  maxSize: number
  onError: () => never
}): MiddlewareHandler<AppEnv> {
  const count = bodyLimit({ maxSize, onError })
  return (c, next) => {
    if (c.req.method === 'GET' || c.req.method === 'HEAD') return next()
    const length = c.req.header('content-length')
    if (length === undefined || c.req.header('transfer-encoding') !== undefined)
      return count(c, next)
    return Number(length) > maxSize ? onError() : next()
  }
}

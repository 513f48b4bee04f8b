import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppEnv } from '#/web/request/context.ts'

/** No honest form or query of ours comes near it. */
const maxBytes = 64 * 1024

/**
 * Refuses a body that is too large. Node holds a body to its Content-Length, so the number is enough to know; only a
 * body without one is counted, which takes a stream that is slow to set up.
 */
export function limitBody(): MiddlewareHandler<AppEnv> {
  const count = bodyLimit({ maxSize: maxBytes, onError: refuse })
  return (c, next) => {
    if (c.req.method === 'GET' || c.req.method === 'HEAD') return next()
    const length = c.req.header('content-length')
    if (length === undefined || c.req.header('transfer-encoding') !== undefined)
      return count(c, next)
    return Number(length) > maxBytes ? refuse() : next()
  }
}

function refuse(): never {
  throw new PageError(413, 'Request too large', 'The request body is larger than 64 KiB.')
}

import type { MiddlewareHandler } from 'hono'
import { OAuthError } from '#/protocol/errors.ts'
import type { AppEnv } from '#/web/request/context.ts'

/** Refuses addresses with a NUL in path or query, before anything of them is read; half characters cannot be written there. */
export const refuseUnstorableAddress: MiddlewareHandler<AppEnv> = (c, next) => {
  if (holdsNul(c.req.url))
    throw new OAuthError('invalid_request', 'the address contains a NUL character')
  return next()
}

/** Whether an address, percent-encoded as it is, decodes to text with a NUL. */
export const holdsNul = (address: string): boolean => address.includes('%00')

import type { MiddlewareHandler } from 'hono'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppEnv } from '#/web/request/context.ts'

/** No Request can be made of an address with a user in it (RFC 9110 §4.2.4), and nobody honest asks for one. */
export const refuseUserInAddress: MiddlewareHandler<AppEnv> = (c, next) => {
  if (/^https?:\/\/[^/?#]*@/i.test(c.req.url))
    throw new PageError(400, 'Invalid address', 'The address must not contain a user name.')
  return next()
}

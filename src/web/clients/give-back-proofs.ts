import type { MiddlewareHandler } from 'hono'
import type { Database } from '#/database/client.ts'
import { withProofs } from '#/domain/proofs/used-proofs.ts'
import type { AppEnv } from '#/web/request/context.ts'

/** Lets a client repeat a request that failed for our reasons with the very same assertion and DPoP proof. */
export function giveBackProofs(db: Database): MiddlewareHandler<AppEnv> {
  return (c, next) =>
    withProofs(db, async () => {
      await next()
      return c.res.status >= 500
    })
}

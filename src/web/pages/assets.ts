/** Stylesheet and icon, under names that change with their content and may be kept for ever. */
import { Hono } from 'hono'
import type { AppEnv } from '#/web/request/context.ts'
import { assets } from './layout.ts'

export function assetRoutes(): Hono<AppEnv> {
  const routes = new Hono<AppEnv>()
  for (const [path, { body, type }] of assets) {
    routes.get(path, (c) =>
      c.body(body, 200, {
        'content-type': type,
        'cache-control': 'public, max-age=31536000, immutable',
      }),
    )
  }
  return routes
}

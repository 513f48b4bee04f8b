/** What this server can do, for machines: OpenID Connect Discovery 1.0, RFC 8414, and its public keys (RFC 7517). */
import { Hono } from 'hono'
import type { KeySet } from '#/domain/keys/keys.ts'
import type { AppEnv } from '#/web/request/context.ts'
import { type MetadataOptions, oauthMetadata, openidMetadata } from './metadata.ts'

export interface DiscoveryOptions extends MetadataOptions {
  readonly keys: () => Promise<KeySet>
}

const cacheable = 'public, max-age=3600'

export function discoveryRoutes(options: DiscoveryOptions): Hono<AppEnv> {
  const { keys } = options
  const openid = openidMetadata(options)
  const oauth = oauthMetadata(options)
  return new Hono<AppEnv>()
    .get('/.well-known/openid-configuration', (c) =>
      c.json(openid, 200, { 'cache-control': cacheable }),
    )
    .get('/.well-known/oauth-authorization-server', (c) =>
      c.json(oauth, 200, { 'cache-control': cacheable }),
    )
    .get('/.well-known/jwks.json', async (c) =>
      c.json((await keys()).jwks, 200, { 'cache-control': 'public, max-age=300' }),
    )
}

import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'
import type { SessionCookies } from '#/web/sessions/session-cookies.ts'

export interface LogoutOptions {
  readonly db: Database
  readonly issuer: string
  readonly clients: ReadCache<Client>
  readonly keys: () => Promise<KeySet>
  readonly cookies: SessionCookies
  readonly sessions: SessionAccess
  readonly csrf: Csrf
}

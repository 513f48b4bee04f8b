import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import type { Offered } from '#/protocol/offered.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { Limiter } from '#/web/limits/rate-limit.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'

export interface AppsOptions {
  readonly db: Database
  readonly offered: Offered
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly clients: ReadCache<Client>
  readonly fetchDocument: FetchDocument
  readonly loopbackHttp: boolean
  /** Whether PKCE is asked of new clients. */
  readonly requirePkce: boolean
  readonly privateUseSchemes: readonly string[]
  /** For new apps, by user. */
  readonly limiter: Limiter | undefined
}

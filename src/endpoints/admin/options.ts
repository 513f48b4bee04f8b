import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { EntityCounts } from '#/domain/entity-counts/caches.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import type { Passwords } from '#/domain/users/passwords.ts'
import type { Offered } from '#/protocol/offered.ts'
import type { Csrf } from '#/web/guards/csrf.ts'
import type { SessionAccess } from '#/web/sessions/current-user.ts'

export interface AdminOptions {
  readonly db: Database
  readonly issuer: string
  readonly offered: Offered
  readonly clients: ReadCache<Client>
  readonly sessions: SessionAccess
  readonly csrf: Csrf
  readonly passwords: Passwords
  readonly entityCounts: EntityCounts
  readonly fetchDocument: FetchDocument
  /** Whether addresses of clients may be plain http on this machine. */
  readonly loopbackHttp: boolean
  /** Whether PKCE is asked of new clients. */
  readonly requirePkce: boolean
}

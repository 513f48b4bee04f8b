import { sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { insertForEach, valuesFor } from '#/database/statements/insert-for-each.ts'
import { type Placeholders, prepared } from '#/database/statements/prepared.ts'
import { type AuditOrigin, auditCtes, auditParams } from '#/domain/audit/audit.ts'
import { span } from '#/telemetry/tracing.ts'
import { lockedActiveClient } from './active-grant.ts'
import { accessTokenRow, type NewTokens } from './tokens.ts'

type NewClientToken = Pick<NewTokens, 'scope' | 'dpopJkt' | 'lifetimes' | 'now'> & {
  readonly clientId: string
  readonly resources: readonly string[]
}

/**
 * An access token for client credentials (RFC 6749 §4.4); undefined when the client is no longer active. One
 * statement, since clients request them often: it locks the client's row, so that disabling it waits, and inserts the
 * token and its audit event only if the client is active.
 */
export function issueClientToken(
  db: Database,
  issue: NewClientToken,
  origin: AuditOrigin,
): Promise<Token | undefined> {
  const { clientId, resources, scope, now } = issue
  const familyId = crypto.randomUUID()
  const nobody = { userId: null, sessionId: null, authTime: null, details: {} }
  const grant = { ...nobody, familyId, clientId, resources: [...resources] }
  const token = accessTokenRow({ ...issue, grant })
  return span('tokens.issue_client_token', async () => {
    const event = {
      type: 'CLIENT_CREDENTIALS_TOKEN_ISSUED',
      at: now,
      clientId,
      resource: { type: 'token_family', id: familyId },
      details: { scope },
    } as const
    const stored = await store(db, {
      clientId,
      ...valuesFor('token', token),
      ...auditParams(origin, event),
    })
    return stored.length > 0 ? token : undefined
  })
}

const store = prepared((db, { clientId }: Placeholders<{ clientId: string }>) => {
  const holder = db.$with('holder').as(lockedActiveClient(db, clientId))
  const stored = db
    .$with('stored', { id: tokens.id })
    .as(sql`${insertForEach(holder, tokens, 'token')} returning ${tokens.id}`)
  return db.with(holder, auditCtes(db, holder), stored).select().from(stored)
})

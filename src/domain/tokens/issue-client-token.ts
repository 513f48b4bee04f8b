import { sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import {
  insertForEach,
  type Placeholders,
  prepared,
  valuesFor,
} from '#/database/statements/statements.ts'
import { type AuditOrigin, auditCtes, auditParams } from '#/domain/audit/audit.ts'
import { type JudgedClient, requireCurrentClient } from '#/domain/clients/client-version.ts'
import { span } from '#/telemetry/tracing.ts'
import { lockedActiveClient } from './active-grant.ts'
import { accessTokenRow, type NewTokens } from './tokens.ts'

type NewClientToken = Pick<NewTokens, 'scope' | 'dpopJkt' | 'lifetimes' | 'now'> &
  JudgedClient & { readonly resources: readonly string[] }

/**
 * An access token for a client that acts for itself (RFC 6749 §4.4); undefined when it has gone. Machines
 * statement, since clients request them often: it locks the client's row, so that disabling it waits, and inserts the
 * the token and what the audit log says of it only if that row is an active client, and still the one that was judged.
 */
export function issueClientToken(
  db: Database,
  issue: NewClientToken,
  origin: AuditOrigin,
): Promise<Token | undefined> {
  const { clientId, clientVersion, resources, scope, now } = issue
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
      clientVersion,
      ...valuesFor('token', token),
      ...auditParams(origin, event),
    })
    if (stored.length > 0) return token
    await requireCurrentClient(db, issue)
    return undefined
  })
}

const store = prepared((db, { clientId, clientVersion }: Placeholders<JudgedClient>) => {
  const holder = db.$with('holder').as(lockedActiveClient(db, { clientId, clientVersion }))
  const stored = db
    .$with('stored', { id: tokens.id })
    .as(sql`${insertForEach(holder, tokens, 'token')} returning ${tokens.id}`)
  return db.with(holder, auditCtes(db, holder), stored).select().from(stored)
})

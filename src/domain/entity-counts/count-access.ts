import { and, eq, type SQL } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { Database } from '#/database/client.ts'
import { consents } from '#/database/schema/consents.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { whereConsentInForce } from '#/domain/consents/consent-state.ts'
import { whereLiveToken } from '#/domain/tokens/token-state.ts'

/** Beyond it nobody wants to know exactly, and a page must not count a million rows. */
export const maxCounted = 1000

/** Live tokens and consents of a client, each counted up to one more than `maxCounted`. */
export async function countAccess(
  db: Database,
  clientId: string,
  now: Date,
): Promise<{ readonly tokens: number; readonly consents: number }> {
  const upTo = (table: PgTable, which: SQL | undefined) =>
    db.$count(
      db
        .select()
        .from(table)
        .where(which)
        .limit(maxCounted + 1)
        .as('counted'),
    )
  const live = and(eq(tokens.clientId, clientId), whereLiveToken(now))
  const inForce = and(eq(consents.clientId, clientId), whereConsentInForce)
  const [tokenCount, consentCount] = await Promise.all([
    upTo(tokens, live),
    upTo(consents, inForce),
  ])
  return { tokens: tokenCount, consents: consentCount }
}

import { and, desc, eq, gte } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { countOf } from './repeated-events.ts'

/** As many as anybody is shown. */
const maxFailedSignIns = 10
const shownMs = 30 * 24 * 60 * 60_000

export interface FailedSignIn {
  readonly at: Date
  readonly ip: string | null
  readonly userAgent: string | null
  /** How many times within a minute. */
  readonly count: number
}

/** The last attempts at an account that failed within thirty days, newest first. */
export const listFailedSignIns = (
  db: Database,
  userId: string,
  now: Date,
): Promise<FailedSignIn[]> =>
  db
    .select({
      at: auditEvents.at,
      ip: auditEvents.ip,
      userAgent: auditEvents.userAgent,
      count: countOf.mapWith(Number),
    })
    .from(auditEvents)
    .where(
      and(
        eq(auditEvents.actorUserId, userId),
        eq(auditEvents.type, 'AUTHENTICATION_FAILURE'),
        gte(auditEvents.at, new Date(now.getTime() - shownMs)),
      ),
    )
    .orderBy(desc(auditEvents.at), desc(auditEvents.id))
    .limit(maxFailedSignIns)

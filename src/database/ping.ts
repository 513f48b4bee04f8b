import { sql } from 'drizzle-orm'
import { withinTimeOr } from '#/telemetry/within-time.ts'
import type { Database } from './client.ts'

/** Whether the database answers within the bound. */
export function ping(db: Database, timeoutMs: number): Promise<boolean> {
  const answer = Promise.resolve(db.execute(sql`select 1`)).then(
    () => true,
    () => false,
  )
  return withinTimeOr(answer, timeoutMs, false)
}

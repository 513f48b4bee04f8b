/**
 * What a frozen or overloaded database gets to long after we gave up must not use anything up: each statement that does
 * so once only carries its deadline. The clock is the database's, and it is read as the statement runs: Postgres
 * evaluates a volatile condition without columns after the joins, hence behind the locks that they wait for.
 */
import { type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { Database } from './client.ts'
import { statementDeadline } from './deadline.ts'
import { sqlStates } from './errors.ts'

/** The condition that the statement's deadline has not passed. */
export const inTime = (deadline: Placeholder | Date = statementDeadline()): SQL =>
  sql`clock_timestamp() < ${deadline instanceof Date ? deadline.toISOString() : deadline}::timestamptz`

/** Whether nothing that carries this deadline can begin any more. */
export async function isPast(db: Database, deadline: Date): Promise<boolean> {
  const [moment] = await db
    .select({ past: sql<boolean>`not ${inTime(deadline)}` })
    .from(sql`(select) as moment`)
  return moment?.past === true
}

/** A statement that changed nothing because it ran after its deadline. Class 08: treated like an unreachable database. */
export class TooLateError extends Error {
  override readonly name = 'TooLateError'
  readonly code = sqlStates.unreachable

  constructor() {
    super('the database reached a statement after its deadline')
  }
}

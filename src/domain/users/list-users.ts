/** The list of accounts, a page at a time, each page and each search by an index. */
import { and, asc, eq, gt, inArray, max, type SQL, sql } from 'drizzle-orm'
import { union } from 'drizzle-orm/pg-core'
import type { Database } from '#/database/client.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { users } from '#/database/schema/users.ts'

export interface UserFilter {
  /** The name that the page before ended with. */
  readonly after?: string | undefined
  /** How a username, e-mail address or full name begins. */
  readonly search?: string | undefined
  readonly limit: number
}

/** One collation for order, cursor and prefix, so that one index serves all three. */
const sortName = sql`${users.username} collate "C"`
const searched = [
  sortName,
  sql`lower(${users.email}) collate "C"`,
  sql`lower(${users.fullName}) collate "C"`,
]

/** A page of accounts by name, each with when it was last seen. */
export const usersPageQuery = (db: Database, { after, search, limit }: UserFilter) => {
  const behind = after ? gt(sortName, after) : undefined
  // By id alone: more than a page of each is never looked at.
  const found = (expression: SQL) =>
    db
      .select({ id: users.id })
      .from(users)
      .where(and(beginsWith(expression, search ?? ''), behind))
      .orderBy(asc(sortName))
      .limit(limit)
  const [byName, byEmail, byFullName] = searched.map(found)
  const matching =
    search && byName && byEmail && byFullName
      ? inArray(users.id, union(byName, byEmail, byFullName))
      : undefined
  const seen = db
    .select({ at: max(sessions.lastSeenAt) })
    .from(sessions)
    .where(eq(sessions.userId, users.id))
  return db
    .select({ user: users, lastSeenAt: sql<Date | null>`(${seen})`.mapWith(sessions.lastSeenAt) })
    .from(users)
    .where(matching ?? behind)
    .orderBy(asc(sortName))
    .limit(limit)
}

/** A range instead of a pattern: it stays one in a plan that is made before the text is known. */
const beginsWith = (expression: SQL, text: string): SQL =>
  sql`${expression} >= lower(${text}::text) and ${expression} < lower(${text}::text) || ${'\u{10FFFF}'}::text`

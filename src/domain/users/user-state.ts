/** When an account may be used. */
import { eq, type SQL, sql } from 'drizzle-orm'
import { users } from '#/database/schema/users.ts'

/** The column is the whole rule: TypeScript reads it as `user.isActive`. */
export const whereActiveUser: SQL = eq(users.isActive, true)

/** The opposite; written out, as the partial index has it. */
export const whereInactiveUser: SQL = sql`not ${users.isActive}`

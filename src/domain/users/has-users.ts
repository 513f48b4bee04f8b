import type { Database } from '#/database/client.ts'
import { users } from '#/database/schema/users.ts'

/** Whether there is any account yet. */
export const hasUsers = async (db: Database): Promise<boolean> =>
  (await db.select({ id: users.id }).from(users).limit(1)).length > 0

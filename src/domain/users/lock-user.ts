import { eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { users } from '#/database/schema/users.ts'

/**
 * Locks the user's row before access is revoked. Issuing a session, code or token locks the same row (a foreign key
 * does, too) and checks under its lock what is being revoked, so one of the two always sees the other.
 */
export async function lockUser(tx: Database, id: string): Promise<void> {
  await tx.select({ id: users.id }).from(users).where(eq(users.id, id)).for('update')
}

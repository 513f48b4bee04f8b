import { eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { users } from '#/database/schema/users.ts'

/**
 * Waits for every transaction that is giving this user a session, code or token, and holds off new ones: they all lock
 * the user's row (a foreign key does, too). Whoever takes access away calls it first; whoever gives access checks,
 * under its own lock, what is being taken. So one of the two always sees the other.
 */
export async function lockUser(tx: Database, id: string): Promise<void> {
  await tx.select({ id: users.id }).from(users).where(eq(users.id, id)).for('update')
}

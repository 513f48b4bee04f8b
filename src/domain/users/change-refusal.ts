import { and, eq, or } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { users } from '#/database/schema/users.ts'
import type { ByUser } from '#/domain/audit/audit.ts'
import { whereActiveUser } from './user-state.ts'

/** Admins alone decide, and never about themselves: so there is always one left, who has decided last. */
export type UserChangeRefusal = 'unknown_user' | 'self' | 'not_admin' | 'no_change'

/**
 * Locks the user and all active admins in one order, so that two admins cannot disable each other at the same moment:
 * the second one is no longer an admin by then.
 */
export async function refusalOf(
  tx: Database,
  id: string,
  { actor }: ByUser,
): Promise<UserChangeRefusal | undefined> {
  if (actor.id === id) return 'self'
  const activeAdmin = and(eq(users.role, 'admin'), whereActiveUser)
  const locked = await tx
    .select({ id: users.id })
    .from(users)
    .where(or(eq(users.id, id), activeAdmin))
    .orderBy(users.id)
    .for('update')
  return locked.some((admin) => admin.id === actor.id) ? undefined : 'not_admin'
}

import { eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { isUniqueViolation } from '#/database/errors.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type ByUser, writeAudit } from '#/domain/audit/audit.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { refusalOf, type UserChangeRefusal } from './change-refusal.ts'
import { lockUser } from './lock-user.ts'

export interface UserEdit extends Pick<User, 'id' | 'fullName' | 'email' | 'role'> {
  /** The version that was looked at. */
  readonly seen: string
}

/** Differs when something that can be edited has changed. */
export const userVersion = ({ fullName, email, role }: Omit<User, 'id'>): string =>
  sha256(JSON.stringify([fullName, email, role]))

export type EditedUser =
  | { readonly result: 'success'; readonly user: User }
  | { readonly result: UserChangeRefusal | 'changed_meanwhile' | 'email_taken' }

/** Edits an account; nobody changes their own role. */
export function editUser(db: Database, edit: UserEdit, by: ByUser): Promise<EditedUser> {
  return span('users.edit', async () => {
    try {
      return await db.transaction((tx) => editLocked(tx, edit, by))
    } catch (error) {
      if (isUniqueViolation(error)) return { result: 'email_taken' }
      throw error
    }
  })
}

async function editLocked(tx: Database, edit: UserEdit, by: ByUser): Promise<EditedUser> {
  const { id, seen, fullName, email, role } = edit
  const refusal = await refusalOf(tx, id, by)
  if (refusal === 'self') await lockUser(tx, id)
  const [before] = await tx.select().from(users).where(eq(users.id, id))
  if (!before) return { result: 'unknown_user' }
  if (userVersion(before) !== seen) return { result: 'changed_meanwhile' }
  if (refusal && (refusal !== 'self' || before.role !== role)) return { result: refusal }
  const moved = before.email?.toLowerCase() !== email?.toLowerCase()
  const changed = { email: before.email !== email, full_name: before.fullName !== fullName }
  if (!changed.email && !changed.full_name && before.role === role) return { result: 'no_change' }
  const [user] = await tx
    .update(users)
    .set({ fullName, email, role, ...(moved && { emailVerified: false }), updatedAt: by.now })
    .where(eq(users.id, id))
    .returning()
  if (!user) return { result: 'unknown_user' }
  await writeAudit(tx, by.origin, {
    type: 'USER_UPDATED',
    at: by.now,
    actor: by.actor,
    resource: { type: 'user', id },
    details: { ...changed, role_before: before.role, role },
  })
  return { result: 'success', user }
}

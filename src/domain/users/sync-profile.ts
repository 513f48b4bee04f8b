import { eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { isUniqueViolation } from '#/database/errors.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import { holderOf, withdrawEmail } from './withdraw-email.ts'

interface Profile {
  readonly email: string | undefined
  readonly fullName: string | undefined
}

interface Synced {
  readonly user: User
  /** Somebody else here has the address, so it was not taken over. */
  readonly emailTaken: boolean
}

/** Takes over what another server says of a user; a new e-mail address is not verified. Runs in a transaction. */
export async function syncProfile(
  tx: Database,
  { user, profile, now }: { user: User; profile: Profile; now: Date },
  origin: AuditOrigin,
): Promise<Synced> {
  const { email = user.email, fullName = user.fullName } = profile
  const moved = email?.toLowerCase() !== user.email?.toLowerCase()
  const emailTaken = moved && email !== null && !(await isFree(tx, email, { user, now }, origin))
  const change = {
    ...(fullName !== user.fullName && { fullName }),
    ...(moved && !emailTaken && { email, emailVerified: false }),
  }
  if (Object.keys(change).length === 0) return { user, emailTaken }
  try {
    const updated = await tx.transaction((inner) => update(inner, user, { ...change, now }, origin))
    return { user: updated, emailTaken }
  } catch (error) {
    // Somebody took the address at this very moment.
    if (!isUniqueViolation(error)) throw error
    const kept = await syncProfile(
      tx,
      { user, profile: { email: undefined, fullName }, now },
      origin,
    )
    return { user: kept.user, emailTaken: true }
  }
}

/** Whether nobody else has it, or whoever has it has made room. */
async function isFree(
  tx: Database,
  email: string,
  { user, now }: { user: User; now: Date },
  origin: AuditOrigin,
): Promise<boolean> {
  const [holder] = await holderOf(tx, email)
  if (!holder || holder.id === user.id) return true
  const by = { source: 'http_api', origin, now } as const
  return withdrawEmail(tx, { holder, email, from: ['oauth'] }, by)
}

async function update(
  tx: Database,
  user: User,
  {
    now,
    ...change
  }: { email?: string | null; emailVerified?: boolean; fullName?: string; now: Date },
  origin: AuditOrigin,
): Promise<User> {
  const [updated] = await tx
    .update(users)
    .set({ ...change, updatedAt: now })
    .where(eq(users.id, user.id))
    .returning()
  await writeAudit(tx, origin, {
    type: 'USER_SYNCED',
    at: now,
    actor: user,
    resource: { type: 'user', id: user.id },
    details: { email: change.email !== undefined, full_name: change.fullName !== undefined },
  })
  return updated ?? user
}

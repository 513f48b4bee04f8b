import { and, eq, inArray, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import type { LoginSource, UserAuthSource } from '#/protocol/vocabulary.ts'

/** The user with this email address, if any. */
export const holderOf = (tx: Database, email: string) =>
  tx.select().from(users).where(sql`lower(${users.email}) = lower(${email})`)

/** Folds ASCII only: other case folding maps distinct characters together, such as KELVIN SIGN and k. */
export const isSameAddress = (one: string | null, other: string): boolean =>
  one !== null && foldAscii(one) === foldAscii(other)

const foldAscii = (text: string) => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())

/**
 * Removes an unverified address from a user of one of these kinds, who keeps everything else. False when the address
 * is verified or has changed meanwhile. Runs in the transaction of the user who gets the address.
 */
export async function withdrawEmail(
  tx: Database,
  { holder, email, from }: { holder: User; email: string; from: readonly UserAuthSource[] },
  { source, origin, now }: { source: LoginSource; origin: AuditOrigin; now: Date },
): Promise<boolean> {
  if (!isSameAddress(holder.email, email)) return false
  const withdrawn = await tx
    .update(users)
    .set({ email: null, updatedAt: now })
    .where(
      and(
        eq(users.id, holder.id),
        eq(users.email, holder.email ?? ''),
        eq(users.emailVerified, false),
        inArray(users.authSource, [...from]),
      ),
    )
    .returning({ id: users.id })
  if (withdrawn.length === 0) return false
  await writeAudit(tx, origin, {
    type: 'USER_EMAIL_WITHDRAWN',
    at: now,
    resource: { type: 'user', id: holder.id },
    details: { username: holder.username, claimed_through: source },
  })
  return true
}

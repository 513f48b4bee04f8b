/** Accounts: finding, creating, listing, and checking their passwords. */
import { eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { isUniqueViolation } from '#/database/errors.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import type { LoginFailureReason } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import type { Passwords, Requester } from './passwords.ts'

export type { User } from '#/database/schema/users.ts'

export const normalizeUsername = (username: string): string => username.trim().toLowerCase()

/** Starts with a letter or digit; 1 to 64 of letters, digits and `_.@+-`. */
export const isUsername = (username: string): boolean =>
  /^[a-z0-9][a-z0-9_.@+-]{0,63}$/.test(username)

export async function findUser(db: Database, id: string): Promise<User | undefined> {
  return (await db.select().from(users).where(eq(users.id, id)))[0]
}

/** `username` as `normalizeUsername` writes it. */
export async function findUserByUsername(
  db: Database,
  username: string,
): Promise<User | undefined> {
  return (await db.select().from(users).where(eq(users.username, username)))[0]
}

export type CredentialsResult =
  | { readonly ok: true; readonly user: User }
  | { readonly ok: false; readonly reason: LoginFailureReason; readonly user: User | undefined }

/**
 * Checks a username and password. Unknown account, wrong password and disabled account take the same time; the
 * reason is for our own eyes, not for the answer. Throws `OverloadedError`.
 */
export function verifyCredentials(
  db: Database,
  passwords: Passwords,
  { username, password, lane }: { username: string; password: string; lane?: Requester },
): Promise<CredentialsResult> {
  return span('users.verify_credentials', async () => {
    const user = isUsername(username) ? await findUserByUsername(db, username) : undefined
    const matches = await passwords.verify(user?.passwordHash, password, lane)
    if (!user) return { ok: false, reason: 'unknown_user', user }
    if (!matches) return { ok: false, reason: 'wrong_password', user }
    if (!user.isActive) return { ok: false, reason: 'account_inactive', user }
    return { ok: true, user }
  })
}

export interface NewUser {
  readonly username: string
  readonly email: string | null
  readonly emailVerified?: boolean
  readonly fullName?: string
  readonly role?: User['role']
  readonly passwordHash: string | null
  readonly passwordMustChange?: boolean
  readonly authSource?: User['authSource']
  readonly now: Date
}

/** Creates an account; undefined when the username or e-mail address is taken. */
export async function createUser(
  db: Database,
  user: NewUser,
  { origin, actor }: { origin: AuditOrigin; actor?: { id: string; username: string } },
): Promise<User | undefined> {
  const { now, ...columns } = user
  try {
    return await db.transaction(async (tx) => {
      const [created] = await tx
        .insert(users)
        .values({ ...columns, createdAt: now, updatedAt: now })
        .returning()
      if (!created) return undefined
      await writeAudit(tx, origin, {
        type: 'USER_CREATED',
        at: now,
        actor,
        resource: { type: 'user', id: created.id },
        details: { username: created.username, role: created.role },
      })
      return created
    })
  } catch (error) {
    if (isUniqueViolation(error)) return undefined
    throw error
  }
}

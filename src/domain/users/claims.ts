import type { User } from '#/database/schema/users.ts'
import type { UserClaim } from '#/protocol/claims.ts'

/** OIDC Core §5.1: the claims of these names; empty values are left out (§5.3.2). */
export function claimsOf(
  user: User,
  names: readonly UserClaim[],
): Record<string, string | number | boolean> {
  const { email, emailVerified } = user
  const values: Readonly<Record<UserClaim, string | number | boolean>> = {
    name: user.fullName,
    preferred_username: user.username,
    updated_at: Math.floor(user.updatedAt.getTime() / 1000),
    email: email ?? '',
    email_verified: email === null ? '' : emailVerified,
  }
  return Object.fromEntries(
    names.filter((name) => values[name] !== '').map((name) => [name, values[name]]),
  )
}

import type { User } from '#/database/schema/users.ts'
import { hasScope } from '#/protocol/scopes.ts'

/** OIDC Core §5.1 and §5.4: what a scope tells about a user; empty values are left out (§5.3.2). */
export function userClaims(user: User, scope: string): Record<string, string | number | boolean> {
  return {
    ...(hasScope(scope, 'profile') && {
      ...(user.fullName !== '' && { name: user.fullName }),
      preferred_username: user.username,
      updated_at: Math.floor(user.updatedAt.getTime() / 1000),
    }),
    ...(hasScope(scope, 'email') && { email: user.email, email_verified: user.emailVerified }),
  }
}

/** When a token may be used, and by whose leave. */
import { and, gt, isNull, or, type Placeholder, type SQL } from 'drizzle-orm'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { whereActiveUser } from '#/domain/users/user-state.ts'

export const whereNotRevoked: SQL = isNull(tokens.revokedAt)

/** Neither revoked nor expired. */
export const whereLiveToken = (now: Date | Placeholder): SQL | undefined =>
  and(whereNotRevoked, gt(tokens.expiresAt, now))

/** The same, of a row. */
export const isLiveToken = ({ revokedAt, expiresAt }: Token, now: Date): boolean =>
  revokedAt === null && expiresAt > now

/** That the user who was left-joined is active; a client that acts for itself has none. */
export const whereUserMayHaveIt: SQL | undefined = or(isNull(tokens.userId), whereActiveUser)

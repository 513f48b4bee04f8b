/** When an authorization code may be redeemed. */
import { and, gt, isNull, type SQL } from 'drizzle-orm'
import {
  type AuthorizationCode,
  authorizationCodes,
} from '#/database/schema/authorization-codes.ts'

export const whereUnusedCode: SQL = isNull(authorizationCodes.consumedAt)

export const whereRedeemableCode = (now: Date): SQL | undefined =>
  and(whereUnusedCode, gt(authorizationCodes.expiresAt, now))

/** The time of a row is over. */
export const isExpiredCode = ({ expiresAt }: AuthorizationCode, now: Date): boolean =>
  expiresAt <= now

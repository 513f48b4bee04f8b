import { isNull, type SQL } from 'drizzle-orm'
import { consents } from '#/database/schema/consents.ts'

/** A consent that has not been taken back: at most one for each user and client. */
export const whereConsentInForce: SQL = isNull(consents.revokedAt)

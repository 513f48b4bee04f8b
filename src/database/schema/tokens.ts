import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  index,
  jsonb,
  pgTable,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { ClaimsRequest } from '#/protocol/claims.ts'
import { storedTokenTypes, tokenRevocationReasons } from '#/protocol/vocabulary.ts'
import { clients } from './clients.ts'
import { oneOf } from './one-of.ts'
import { users } from './users.ts'

/** What a grant carries from its approval into each of its tokens. */
export interface TokenDetails {
  /** OIDC Core §5.5. */
  readonly claims?: ClaimsRequest
  /** RFC 8176: how the user proved who they are. */
  readonly amr?: readonly string[]
  readonly acr?: string
  /** RFC 8693 §4.1: the client that acts for the user. */
  readonly actor?: Actor
}

export interface Actor {
  readonly sub: string
  readonly act?: Actor
}

/**
 * Access tokens (known by their `jti`) and refresh tokens (known by their hash). Live: not revoked, not expired.
 * A rotated refresh token is revoked with reason `rotation`.
 */
export const tokens = pgTable(
  'tokens',
  {
    /** `jti` of an access token. */
    id: uuid().primaryKey(),
    type: text({ enum: storedTokenTypes }).notNull(),
    /** SHA-256 of a refresh token; access tokens are known by `id` and their signature. */
    secretHash: text('secret_hash'),
    familyId: uuid('family_id').notNull(),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.clientId, { onDelete: 'cascade' }),
    /** Set when another client was given it in exchange (RFC 8693): the client that the user has consented to. */
    originClientId: text('origin_client_id'),
    /** The token that it was exchanged for, and with which it ends (RFC 8693). */
    parentId: uuid('parent_id'),
    userId: uuid('user_id').references(() => users.id, { onDelete: 'cascade' }),
    sessionId: uuid('session_id'),
    /** Access while its user is here: it ends when they sign out. */
    endsWithSession: boolean('ends_with_session').notNull().default(false),
    scope: text().notNull(),
    /** RFC 8707: what the token is meant for; empty for this server alone. */
    resources: text().array().notNull().default([]),
    /** RFC 9449 §6: thumbprint of the key whose holder alone may use it. */
    dpopJkt: text('dpop_jkt'),
    details: jsonb().$type<TokenDetails>().notNull().default({}),
    /** Refresh tokens: when the whole family ends, however often it rotates. */
    familyExpiresAt: timestamp('family_expires_at', { withTimezone: true }),
    authTime: timestamp('auth_time', { withTimezone: true }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
    revokedAt: timestamp('revoked_at', { withTimezone: true }),
    revocationReason: text('revocation_reason', { enum: tokenRevocationReasons }),
  },
  (t) => [
    uniqueIndex('tokens_secret').on(t.secretHash).where(sql`${t.secretHash} is not null`),
    // Holds all that the count of live tokens asks for, so that the table itself is not read.
    index('tokens_live')
      .on(t.expiresAt, t.type, t.userId, t.clientId)
      .where(sql`${t.revokedAt} is null`),
    // Built after the migrations: see late-indexes.ts.
    index('tokens_client').on(t.clientId),
    index('tokens_origin').on(t.originClientId).where(sql`${t.originClientId} is not null`),
    index('tokens_parent').on(t.parentId).where(sql`${t.parentId} is not null`),
    index('tokens_of_session')
      .on(t.sessionId)
      .where(sql`${t.endsWithSession} and ${t.revokedAt} is null`),
    index('tokens_user_client').on(t.userId, t.clientId),
    index('tokens_family').on(t.familyId),
    index('tokens_revoked').on(t.revokedAt).where(sql`${t.revokedAt} is not null`),
    check('tokens_type', oneOf(t.type, storedTokenTypes)),
    check('tokens_revocation_reason', oneOf(t.revocationReason, tokenRevocationReasons)),
    check(
      'tokens_revoked_with_reason',
      sql`(${t.revokedAt} is null) = (${t.revocationReason} is null)`,
    ),
  ],
)

export type Token = typeof tokens.$inferSelect

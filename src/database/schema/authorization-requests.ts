import { boolean, index, jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import type { ClaimsRequest } from '#/protocol/claims.ts'
import type { OAuthErrorCode } from '#/protocol/errors.ts'
import type { Prompt } from '#/protocol/prompts.ts'
import type { ResponseMode } from '#/protocol/response-modes.ts'
import { clients } from './clients.ts'

/** How the request wants its user to be met (OIDC Core §3.1.2.1). Everything is optional. */
export interface Interaction {
  readonly prompt?: readonly Prompt[]
  /** Seconds since the user really signed in. */
  readonly maxAge?: number
  readonly loginHint?: string
  /** The subject that `id_token_hint` or the `sub` claim requires. */
  readonly subject?: string
  /** The session whose user has said that they want to go on as who they are. */
  readonly chosenSession?: string
  /** How it was answered; `expiresAt` is then when. */
  readonly answer?: Answer
}

export interface Answer {
  readonly sessionId: string | undefined
  /** Undefined where a code was issued. */
  readonly error?: { readonly code: OAuthErrorCode; readonly description: string }
}

/** A validated authorization request that waits for its user to sign in or consent; pushed ones (RFC 9126) begin here. */
export const authorizationRequests = pgTable(
  'authorization_requests',
  {
    id: text().primaryKey(),
    clientId: text('client_id')
      .notNull()
      .references(() => clients.clientId, { onDelete: 'cascade' }),
    redirectUri: text('redirect_uri').notNull(),
    responseMode: text('response_mode').$type<ResponseMode>().notNull().default('query'),
    scope: text().notNull(),
    state: text(),
    nonce: text(),
    /** Null for confidential clients that rely on the nonce instead (RFC 9700 §2.1.1). */
    codeChallenge: text('code_challenge'),
    /** RFC 8707: what the tokens are meant for. */
    resources: text().array().notNull().default([]),
    claims: jsonb().$type<ClaimsRequest>(),
    /** RFC 9449 §10: the key that the code is bound to. */
    dpopJkt: text('dpop_jkt'),
    interaction: jsonb().$type<Interaction>().notNull().default({}),
    /** Pushed by its client (RFC 9126), and not seen by a browser yet: until then it lives for a moment only. */
    pushed: boolean().notNull().default(false),
    /** When its user came with it. */
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  },
  (t) => [index('authorization_requests_expiry').on(t.expiresAt)],
)

export type AuthorizationRequest = typeof authorizationRequests.$inferSelect

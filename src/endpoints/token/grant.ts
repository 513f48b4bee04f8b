/** What a grant is (RFC 6749 §4): how its parameters are read, and how it turns them into tokens. */
import type { z } from 'zod'
import type { Database } from '#/database/client.ts'
import type { AuditOrigin } from '#/domain/audit/audit.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import type { TokenLifetimes } from '#/domain/tokens/tokens.ts'
import type { GrantType } from '#/protocol/grant-types.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

/** What the endpoint hands to a grant: it has authenticated the client and counted the request. */
export interface GrantContext {
  readonly db: Database
  readonly client: Client
  readonly recorder: Recorder
  readonly origin: AuditOrigin
  readonly now: Date
  readonly issuer: string
  readonly keys: () => Promise<KeySet>
  readonly lifetimes: TokenLifetimes
  readonly refreshTokens: boolean
  readonly rotation: boolean
  readonly secrets: readonly string[]
}

/** RFC 6749 §5.1. */
export interface TokenResponse {
  readonly access_token: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly scope: string
  readonly refresh_token?: string
  readonly id_token?: string
}

export interface Grant<S extends z.ZodObject = z.ZodObject> {
  readonly grantType: GrantType
  readonly parameters: S
  /** Called after `parameters` have been parsed; answers only what has been committed. */
  issue(context: GrantContext, parameters: z.output<S>): Promise<TokenResponse>
}

/** Forgets the schema's type: the endpoint parses with this very grant's schema before it calls `issue`. */
export const defineGrant = <S extends z.ZodObject>(grant: Grant<S>): Grant =>
  grant as unknown as Grant

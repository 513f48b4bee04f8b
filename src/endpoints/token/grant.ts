/** What a grant is (RFC 6749 §4): how its parameters are read, and how it turns them into tokens. */
import type { z } from 'zod'
import type { Database } from '#/database/client.ts'
import type { AuditOrigin } from '#/domain/audit/audit.ts'
import type { VersionedClient } from '#/domain/clients/client-version.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import type { TokenLifetimes } from '#/domain/tokens/tokens.ts'
import type { GrantType } from '#/protocol/grant-types.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

/** What the endpoint hands to a grant: it has authenticated the client and counted the request. */
export interface GrantContext {
  readonly db: Database
  readonly client: VersionedClient
  readonly recorder: Recorder
  readonly origin: AuditOrigin
  readonly now: Date
  readonly issuer: string
  /** Fetched before anything is used up: once it is, nothing may fail any more. */
  readonly keys: KeySet
  /** Those of this client's profile. */
  readonly lifetimes: TokenLifetimes
  /** How long a client that acts for itself may do so with one token. */
  readonly clientTokenMs: number
  /** Whether this client may have refresh tokens at all. */
  readonly refreshTokens: boolean
  readonly rotation: boolean
  /** How long a client that cannot authenticate may try a used refresh token again. */
  readonly graceMs: number
  /** Whether access without a refresh token is over when the user signs out. */
  readonly endsWithSession: boolean
  readonly secrets: readonly string[]
  /** RFC 8707 §2.2: what the access token is to be used at; undefined for all that was granted. */
  readonly resources: readonly string[] | undefined
  /** RFC 8693 §2.1: the same, by any names. */
  readonly audiences: readonly string[]
  /** Thumbprint of the key that the request has proven to hold (RFC 9449 §5); null without a proof. */
  readonly dpopJkt: string | null
  /** Claims that the client puts into its access token. */
  readonly extraClaims: Readonly<Record<string, unknown>> | undefined
}

/** RFC 6749 §5.1. */
export interface TokenResponse {
  readonly access_token: string
  readonly token_type: 'Bearer' | 'DPoP'
  readonly expires_in: number
  /** Left out when there is none. */
  readonly scope?: string
  readonly refresh_token?: string
  readonly id_token?: string
  /** RFC 8693 §2.2.1. */
  readonly issued_token_type?: string
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

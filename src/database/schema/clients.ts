import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'
import {
  applicationTypes,
  clientAuthenticationMethods,
  clientSigningAlgorithms,
  clientStatuses,
  clientTypes,
  refreshTokenModes,
  signingAlgorithms,
  subjectTypes,
  tokenProfiles,
} from '#/protocol/vocabulary.ts'
import { oneOf } from './one-of.ts'
import { users } from './users.ts'

/** RFC 7517 §5. */
export interface ClientKeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

/** What a client is registered with (RFC 7591 §2, OIDC Dynamic Registration §2), and what an operator has decided about it. */
export const clients = pgTable(
  'clients',
  {
    clientId: text('client_id').primaryKey(),
    name: text().notNull(),
    /** What the name looks like (UTS 39 §4); null until somebody has asked: see domain/clients/names.ts. */
    nameSkeleton: text('name_skeleton'),
    /** Its purpose, as its owner describes it. */
    description: text().notNull().default(''),
    uri: text(),
    type: text({ enum: clientTypes }).notNull(),
    status: text({ enum: clientStatuses }).notNull().default('pending'),
    /** When an administrator last approved it; null for clients that an administrator created, and for those approved before this was recorded. */
    approvedAt: timestamp('approved_at', { withTimezone: true }),
    /** SHA-256 of a random secret; null for public clients. */
    secretHash: text('secret_hash'),
    tokenEndpointAuthMethod: text('token_endpoint_auth_method', {
      enum: clientAuthenticationMethods,
    }).notNull(),
    redirectUris: text('redirect_uris').array().notNull(),
    grantTypes: text('grant_types').array().notNull(),
    /** Space separated, RFC 6749 §3.3: the most this client may ask for. */
    scope: text().notNull(),
    applicationType: text('application_type', { enum: applicationTypes }).notNull().default('web'),
    logoUri: text('logo_uri'),
    policyUri: text('policy_uri'),
    tosUri: text('tos_uri'),
    contacts: text().array().notNull().default([]),
    jwks: jsonb().$type<ClientKeySet>(),
    jwksUri: text('jwks_uri'),
    /** The only algorithm accepted in client assertions; null for any that is supported. */
    tokenEndpointAuthSigningAlg: text('token_endpoint_auth_signing_alg', {
      enum: clientSigningAlgorithms,
    }),
    idTokenSignedResponseAlg: text('id_token_signed_response_alg', { enum: signingAlgorithms })
      .notNull()
      .default('ES256'),
    /** Null: userinfo answers plain JSON. */
    userinfoSignedResponseAlg: text('userinfo_signed_response_alg', { enum: signingAlgorithms }),
    introspectionSignedResponseAlg: text('introspection_signed_response_alg', {
      enum: signingAlgorithms,
    })
      .notNull()
      .default('ES256'),
    /** Null for any that is supported; `none` only when registered so. */
    requestObjectSigningAlg: text('request_object_signing_alg', {
      enum: [...clientSigningAlgorithms, 'none'],
    }),
    /** RFC 9101 §10.5. */
    requireSignedRequestObject: boolean('require_signed_request_object').notNull().default(false),
    requestUris: text('request_uris').array().notNull().default([]),
    /** RFC 9126 §6. */
    requirePushedAuthorizationRequests: boolean('require_pushed_authorization_requests')
      .notNull()
      .default(false),
    /** RFC 7636 for confidential clients, too; public ones always need it. */
    requirePkce: boolean('require_pkce').notNull().default(false),
    /** RFC 9449 §5.2. */
    dpopBoundAccessTokens: boolean('dpop_bound_access_tokens').notNull().default(false),
    subjectType: text('subject_type', { enum: subjectTypes }).notNull().default('public'),
    sectorIdentifierUri: text('sector_identifier_uri'),
    defaultMaxAge: integer('default_max_age'),
    requireAuthTime: boolean('require_auth_time').notNull().default(false),
    defaultAcrValues: text('default_acr_values').array().notNull().default([]),
    initiateLoginUri: text('initiate_login_uri'),
    postLogoutRedirectUris: text('post_logout_redirect_uris').array().notNull().default([]),
    backchannelLogoutUri: text('backchannel_logout_uri'),
    backchannelLogoutSessionRequired: boolean('backchannel_logout_session_required')
      .notNull()
      .default(false),
    tokenProfile: text('token_profile', { enum: tokenProfiles }).notNull().default('standard'),
    refreshTokenMode: text('refresh_token_mode', { enum: refreshTokenModes })
      .notNull()
      .default('rotating'),
    /** RFC 8707: the resources this client may ask tokens for. */
    allowedResources: text('allowed_resources').array().notNull().default([]),
    /** The resources this client is: it may introspect and exchange tokens made for them. */
    servedResources: text('served_resources').array().notNull().default([]),
    /** Whether it may put claims of its own into its access tokens. */
    extraClaims: boolean('extra_claims').notNull().default(false),
    /** SHA-256 of the registration access token (RFC 7592 §3); null for clients that did not register themselves. */
    registrationTokenHash: text('registration_token_hash'),
    ownerId: uuid('owner_id').references(() => users.id, { onDelete: 'set null' }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (t) => [
    index('idx_clients_status').on(t.status),
    index('clients_not_active').on(t.clientId).where(sql`${t.status} <> 'active'`),
    index('clients_owner').on(t.ownerId),
    // Built after the migrations: see late-indexes.ts.
    index('clients_forgotten')
      .on(t.updatedAt)
      .where(sql`${t.status} = 'pending' and ${t.registrationTokenHash} is not null`),
    index('clients_skeleton').on(t.nameSkeleton),
    index('clients_name').on(sql`lower(${t.name}) collate "C"`, t.clientId),
    index('clients_status_name').on(t.status, sql`lower(${t.name}) collate "C"`, t.clientId),
    check('clients_type', oneOf(t.type, clientTypes)),
    check('clients_status', oneOf(t.status, clientStatuses)),
    check('clients_token_profile', oneOf(t.tokenProfile, tokenProfiles)),
  ],
)

export type Client = typeof clients.$inferSelect

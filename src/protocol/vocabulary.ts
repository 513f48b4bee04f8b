/**
 * The closed lists that rows and metric labels share. A value outside its list compiles nowhere, so no
 * column and no label can hold a word that a dashboard does not know.
 */

/** How an attempt can end. */
export const outcomes = ['success', 'failure'] as const
export type Outcome = (typeof outcomes)[number]

/** Why a browser session ended. Each ended row carries exactly one. */
export const sessionEndReasons = [
  'logout',
  'idle_timeout',
  'timeout',
  'fingerprint_mismatch',
  'account_inactive',
  'revoked',
  'replaced',
  'password_changed',
] as const
export type SessionEndReason = (typeof sessionEndReasons)[number]

/** Where an account came from; the only values `users.auth_source` can hold. */
export const userAuthSources = ['local', 'http_api', 'oauth'] as const
export type UserAuthSource = (typeof userAuthSources)[number]

/** Providers that people can sign in through; `oidc` is any issuer that an operator names. */
export const upstreamProviders = ['github', 'gitea', 'gitlab', 'microsoft', 'oidc'] as const
/** What people know them by; an operator gives the last one a name of its own. */
export type UpstreamProvider = (typeof upstreamProviders)[number]

/** What pages call them, unless an operator names `oidc` (OIDC_NAME). */
export const upstreamTitles: Readonly<Record<UpstreamProvider, string>> = {
  github: 'GitHub',
  gitea: 'Gitea',
  gitlab: 'GitLab',
  microsoft: 'Microsoft',
  oidc: 'single sign-on',
}

/** What a provider is asked for during a sign-in. */
export const upstreamOperations = ['discovery', 'token', 'profile'] as const
export type UpstreamOperation = (typeof upstreamOperations)[number]

/** How a browser that comes back from a provider is answered; the first three are sign-ins. */
export const upstreamResults = [
  'success',
  'registered',
  'linked',
  'bad_state',
  'wrong_issuer',
  'access_denied',
  'unavailable',
  'provider_error',
  'exchange_failed',
  'invalid_id_token',
  'profile_failed',
  'registration_off',
  'email_missing',
  'email_taken',
  'already_linked',
  'account_inactive',
  'rate_limited',
  'error',
] as const
export type UpstreamResult = (typeof upstreamResults)[number]

/** What can authenticate a user besides a local password. */
export const identitySources = ['http_api', ...upstreamProviders] as const

/** The ways to sign in, by name. */
export const loginSources = ['local', ...identitySources] as const
export type LoginSource = (typeof loginSources)[number]

/** What proved who someone is: our password table, an HTTP API, or an upstream OAuth provider. */
export const loginMethods = ['local', 'http_api', 'oauth'] as const
export type LoginMethod = (typeof loginMethods)[number]

/** Why a sign-in did not succeed. */
export const loginFailureReasons = [
  'unknown_user',
  'wrong_password',
  'account_inactive',
  'upstream',
  'not_admitted',
  'rate_limited',
  'overloaded',
  'unavailable',
  'conflict',
  'error',
] as const
export type LoginFailureReason = (typeof loginFailureReasons)[number]

/** How the API that checks passwords answered a question, retries included; `refused` is a decision, what follows is none. */
export const externalApiResults = [
  'success',
  'refused',
  'unavailable',
  'timeout',
  'invalid_answer',
] as const
export type ExternalApiResult = (typeof externalApiResults)[number]

/** `pending` clients await an operator's approval; only `active` ones may do anything. */
export const clientStatuses = ['pending', 'active', 'inactive'] as const
export type ClientStatus = (typeof clientStatuses)[number]

/** What became of a request to register a client, or to change or end a registration. */
export const registrationResults = [
  'created',
  'updated',
  'deleted',
  'rejected_metadata',
  'unauthorized',
] as const
export type RegistrationResult = (typeof registrationResults)[number]

/** What operators decide about clients; `returned` is a registration that changed itself and has to be approved again. */
export const clientDecisions = [
  'approved',
  'rejected',
  'enabled',
  'disabled',
  'updated',
  'deleted',
  'returned',
] as const
export type ClientDecision = (typeof clientDecisions)[number]

/** RFC 6749 §2.1. */
export const clientTypes = ['confidential', 'public'] as const

/** RFC 7591 §2: how a client proves who it is at the token endpoint. */
export const clientAuthenticationMethods = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'none',
] as const
export type ClientAuthenticationMethod = (typeof clientAuthenticationMethods)[number]

/** RFC 7591 §2: native apps may have loopback and private-use redirect URIs, web apps only https. */
export const applicationTypes = ['web', 'native'] as const

/** OIDC Core §8: one subject for all clients, or one for each sector. */
export const subjectTypes = ['public', 'pairwise'] as const

/** Presets of token lifetimes, chosen for each client by an operator. */
export const tokenProfiles = ['short', 'standard', 'long'] as const

/** `rotating`: each use replaces the refresh token; `fixed`: it stays until it expires (confidential clients only). */
export const refreshTokenModes = ['rotating', 'fixed'] as const

/** What we sign with; discovery, registration and the keys in the database follow from this list. */
export const signingAlgorithms = ['ES256', 'RS256', 'EdDSA'] as const
export type SigningAlgorithm = (typeof signingAlgorithms)[number]

/** What becomes of our signing keys; `resealed` ones are under a newer SESSION_SECRET. */
export const signingKeyEvents = ['created', 'retired', 'deleted', 'resealed'] as const
export type SigningKeyEvent = (typeof signingKeyEvents)[number]

/** What clients may sign their assertions, proofs and request objects with. */
export const clientSigningAlgorithms = ['ES256', 'PS256', 'RS256', 'EdDSA'] as const

/** The flows in which a user is asked for consent. */
export const consentFlows = ['authorization_code', 'device_code'] as const
export type ConsentFlow = (typeof consentFlows)[number]

/** Who took a consent back. */
export const consentRevokers = ['user', 'admin', 'system'] as const
export type ConsentRevoker = (typeof consentRevokers)[number]

/** How an authorization request that needed consent was answered. */
export const consentDecisions = ['approved', 'remembered', 'denied'] as const
export type ConsentDecision = (typeof consentDecisions)[number]

/** RFC 8628: states of a device code. `expired`: not redeemed in time. */
export const deviceCodeStatuses = ['pending', 'approved', 'denied', 'redeemed', 'expired'] as const

/** How a device code ends; each ends once. */
export const deviceCodeEnds = ['redeemed', 'denied', 'expired'] as const
export type DeviceCodeEnd = (typeof deviceCodeEnds)[number]

/** RFC 8628 §3.5: what a device that asks for its tokens is answered. */
export const devicePollResults = [
  'success',
  'pending',
  'slow_down',
  'expired',
  'denied',
  'invalid',
] as const
export type DevicePollResult = (typeof devicePollResults)[number]

/** What a row of `tokens` can be. ID tokens are signed and handed out, never stored. */
export const storedTokenTypes = ['access', 'refresh'] as const
export type StoredTokenType = (typeof storedTokenTypes)[number]
export type TokenType = StoredTokenType | 'id'

/** Why live tokens ended before their time. */
export const tokenRevocationReasons = [
  'rotation',
  'reuse',
  'code_replay',
  'consent_revoked',
  'account_inactive',
  'password_changed',
  'client_inactive',
  'client_request',
  'user_request',
  'admin_request',
] as const
export type TokenRevocationReason = (typeof tokenRevocationReasons)[number]

/** The outcome of a refresh request that named a refresh token. `grace` is a retry, not a theft. */
export const refreshResults = [
  'success',
  'grace',
  'reuse',
  'invalid',
  'expired',
  'revoked',
  'client_mismatch',
  'key_mismatch',
  'scope',
  'error',
] as const
export type RefreshResult = (typeof refreshResults)[number]

/** What an introspection found; `inactive` is every token that would not be accepted, whatever the reason. */
export const introspectionResults = ['active', 'inactive', 'not_entitled'] as const
export type IntrospectionResult = (typeof introspectionResults)[number]

/** What became of a request to exchange a token; `refused` ones had a good token, and asked too much with it. */
export const exchangeResults = ['success', 'invalid', 'not_entitled', 'refused'] as const
export type ExchangeResult = (typeof exchangeResults)[number]

/** In-process caches. */
export const cacheNames = ['client', 'client_keys', 'signing_keys', 'population'] as const
export type CacheName = (typeof cacheNames)[number]

/** Tables that unauthenticated requests can grow; settings limit their rows. */
export const boundedTables = [
  'clients',
  'authorization_requests',
  'device_codes',
  'used_proofs',
] as const
export type BoundedTable = (typeof boundedTables)[number]

/** All that they make grow: what has happened is written down, however much it is. */
export const strangersTables = [...boundedTables, 'audit_events'] as const
export type StrangersTable = (typeof strangersTables)[number]

/** The COUNTs behind the population gauges. */
export const populationGroups = [
  'users',
  'clients',
  'sessions',
  'tokens',
  'consents',
  'logout_deliveries',
  'device_codes',
  'rows',
] as const
export type PopulationGroup = (typeof populationGroups)[number]

/** Names of rate limiters: the routes they guard. */
export const rateLimitedEndpoints = [
  '/login',
  '/account/security/password',
  '/auth/login',
  '/auth/callback',
  '/oauth/authorize',
  '/oauth/par',
  '/oauth/token',
  '/oauth/register',
  '/oauth/introspect',
  '/oauth/revoke',
  '/oauth/device/code',
  '/device/verify',
  '/apps',
  // The ceiling over all of them.
  'any',
] as const
export type RateLimitedEndpoint = (typeof rateLimitedEndpoints)[number]

/** What became of an attempt to tell a client that a session has ended. */
export const logoutDeliveryResults = ['delivered', 'retried', 'given_up'] as const
export type LogoutDeliveryResult = (typeof logoutDeliveryResults)[number]

/** What the background sweeper cleans. */
export const sweeperTasks = [
  'sessions_lapsed',
  'sessions_retention',
  'authorization_requests',
  'authorization_codes',
  'tokens',
  'audit_events',
  'used_proofs',
  'signing_keys',
  'device_codes_expired',
  'device_codes',
  'consents',
  'registrations',
] as const
export type SweeperTask = (typeof sweeperTasks)[number]

/**
 * What is refused, is no sign-in, and is written down: other people at the pages of administrators, forms that another
 * site sent or that were out of date, whoever did not prove who they are or asked for what is not theirs.
 */
export const refusalKinds = [
  'admin_access',
  'cross_site_form',
  'outdated_form',
  'current_password',
  'client_authentication',
  'replayed_proof',
  'grant',
  'token_exchange',
  'introspection',
  'revocation',
  'registration_token',
  'metrics_token',
] as const
export type RefusalKind = (typeof refusalKinds)[number]

/** How an uncaught error arose. */
export const uncaughtKinds = ['exception', 'rejection'] as const
export type UncaughtKind = (typeof uncaughtKinds)[number]

/** Whose connections were too many: those of one address, or all together. */
export const connectionLimits = ['address', 'server'] as const
export type ConnectionLimit = (typeof connectionLimits)[number]

/** Single-use values: the `jti` of signed proofs, and the state of a sign-in at a provider. */
export type ProofKind = 'client_assertion' | 'dpop' | 'request_object' | 'upstream_state'

/** What became of a DPoP proof; `nonce_missing` is how a client learns our nonce. */
export const dpopResults = ['accepted', 'invalid', 'nonce_missing', 'replayed'] as const
export type DpopResult = (typeof dpopResults)[number]

/** Why this server asks an address that a client named. */
export const outboundPurposes = [
  'jwks',
  'request_object',
  'sector_identifier',
  'backchannel_logout',
] as const
export type OutboundPurpose = (typeof outboundPurposes)[number]

/** How that went; `refused` is an address this server does not ask. */
export const outboundResults = ['success', 'refused', 'failed', 'timeout'] as const
export type OutboundResult = (typeof outboundResults)[number]

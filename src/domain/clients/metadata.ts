/** Client metadata as the wire calls it (RFC 7591 §2), and the columns that hold it. */
import { isDeepStrictEqual } from 'node:util'
import type { Client } from '#/database/schema/clients.ts'
import type { ClientMetadata } from '#/protocol/client-metadata.ts'
import type { NewClient } from './clients.ts'

const columns = {
  client_name: 'name',
  client_uri: 'uri',
  logo_uri: 'logoUri',
  policy_uri: 'policyUri',
  tos_uri: 'tosUri',
  contacts: 'contacts',
  application_type: 'applicationType',
  redirect_uris: 'redirectUris',
  grant_types: 'grantTypes',
  scope: 'scope',
  token_endpoint_auth_method: 'tokenEndpointAuthMethod',
  token_endpoint_auth_signing_alg: 'tokenEndpointAuthSigningAlg',
  jwks: 'jwks',
  jwks_uri: 'jwksUri',
  id_token_signed_response_alg: 'idTokenSignedResponseAlg',
  userinfo_signed_response_alg: 'userinfoSignedResponseAlg',
  introspection_signed_response_alg: 'introspectionSignedResponseAlg',
  request_object_signing_alg: 'requestObjectSigningAlg',
  require_signed_request_object: 'requireSignedRequestObject',
  request_uris: 'requestUris',
  require_pushed_authorization_requests: 'requirePushedAuthorizationRequests',
  dpop_bound_access_tokens: 'dpopBoundAccessTokens',
  subject_type: 'subjectType',
  sector_identifier_uri: 'sectorIdentifierUri',
  default_max_age: 'defaultMaxAge',
  require_auth_time: 'requireAuthTime',
  default_acr_values: 'defaultAcrValues',
  initiate_login_uri: 'initiateLoginUri',
  post_logout_redirect_uris: 'postLogoutRedirectUris',
  backchannel_logout_uri: 'backchannelLogoutUri',
  backchannel_logout_session_required: 'backchannelLogoutSessionRequired',
} as const satisfies Record<keyof ClientMetadata, keyof Client>

type Columns = typeof columns
export type MetadataColumns = {
  [Field in keyof ClientMetadata as Columns[Field]]: ClientMetadata[Field]
} & Pick<Client, 'type'>

const pairs = Object.entries(columns) as [keyof ClientMetadata, keyof Client][]

/** The columns of checked metadata. */
export const columnsOf = (metadata: ClientMetadata): MetadataColumns => ({
  ...(Object.fromEntries(
    pairs.map(([field, column]) => [column, metadata[field]]),
  ) as MetadataColumns),
  type: metadata.token_endpoint_auth_method === 'none' ? 'public' : 'confidential',
})

/** What a client is registered with (RFC 7591 §3.2.1); fields without a value are left out. */
export const metadataOf = (client: Client) => ({
  ...Object.fromEntries(
    pairs
      .map(([field, column]) => [field, client[column]] as const)
      .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0)),
  ),
  redirect_uris: client.redirectUris,
  response_types: client.grantTypes.includes('authorization_code') ? ['code'] : [],
})

/** Nobody sees these and nothing gets weaker when they change; everything else is what was approved. */
const harmless: ReadonlySet<string> = new Set<keyof MetadataColumns>([
  'idTokenSignedResponseAlg',
  'userinfoSignedResponseAlg',
  'introspectionSignedResponseAlg',
  'defaultMaxAge',
  'requireAuthTime',
  'defaultAcrValues',
  'backchannelLogoutSessionRequired',
])

const approved = [...Object.values(columns), 'type' as const].filter(
  (column) => !harmless.has(column),
)

/** Whether a client that was approved becomes another one by this. */
export const needsApproval = (current: Client, next: Partial<NewClient>): boolean =>
  approved.some((column) => column in next && !isDeepStrictEqual(current[column], next[column]))

import { acrValues } from '#/protocol/authentication.ts'
import { userClaims } from '#/protocol/claims.ts'
import { dpopSigningAlgorithms } from '#/protocol/dpop.ts'
import type { Offered } from '#/protocol/offered.ts'
import { codeChallengeMethods } from '#/protocol/pkce.ts'
import { prompts } from '#/protocol/prompts.ts'
import { proofSigningAlgorithms } from '#/protocol/proofs.ts'
import { responseModes } from '#/protocol/response-modes.ts'
import {
  clientAuthenticationMethods,
  signingAlgorithms,
  subjectTypes,
} from '#/protocol/vocabulary.ts'

export interface MetadataOptions {
  readonly issuer: string
  /** Whether clients may register themselves. */
  readonly registration: boolean
  readonly offered: Offered
  /** Whether requests have to be pushed. */
  readonly pushRequired: boolean
}

/** How a client proves who it is, where naming itself is not enough. */
const provenMethods = clientAuthenticationMethods.filter((method) => method !== 'none')

/** RFC 8414 §2. Lists what works, nothing else. */
export const oauthMetadata = ({
  issuer,
  registration,
  offered,
  pushRequired,
}: MetadataOptions) => ({
  issuer,
  authorization_endpoint: `${issuer}/oauth/authorize`,
  token_endpoint: `${issuer}/oauth/token`,
  ...(registration && { registration_endpoint: `${issuer}/oauth/register` }),
  // RFC 8628 §4.
  device_authorization_endpoint: `${issuer}/oauth/device/code`,
  jwks_uri: `${issuer}/.well-known/jwks.json`,
  // Libraries that discover us by RFC 8414 sign people in, too, and take RS256 for the only one where this is missing.
  id_token_signing_alg_values_supported: signingAlgorithms,
  scopes_supported: offered.scopes,
  response_types_supported: ['code'],
  response_modes_supported: responseModes,
  grant_types_supported: offered.grantTypes,
  token_endpoint_auth_methods_supported: clientAuthenticationMethods,
  token_endpoint_auth_signing_alg_values_supported: proofSigningAlgorithms,
  revocation_endpoint: `${issuer}/oauth/revoke`,
  revocation_endpoint_auth_methods_supported: clientAuthenticationMethods,
  revocation_endpoint_auth_signing_alg_values_supported: proofSigningAlgorithms,
  introspection_endpoint: `${issuer}/oauth/introspect`,
  introspection_endpoint_auth_methods_supported: provenMethods,
  introspection_endpoint_auth_signing_alg_values_supported: proofSigningAlgorithms,
  // RFC 9701 §7.
  introspection_signing_alg_values_supported: signingAlgorithms,
  // RFC 9449 §5.1.
  dpop_signing_alg_values_supported: dpopSigningAlgorithms,
  code_challenge_methods_supported: codeChallengeMethods,
  // RFC 9126 §5.
  pushed_authorization_request_endpoint: `${issuer}/oauth/par`,
  require_pushed_authorization_requests: pushRequired,
  // RFC 9101 §10.5, OpenID Connect Discovery §3.
  request_parameter_supported: true,
  request_uri_parameter_supported: true,
  require_request_uri_registration: true,
  request_object_signing_alg_values_supported: proofSigningAlgorithms,
  // RFC 9207 §3.
  authorization_response_iss_parameter_supported: true,
})

/** What an ID token says of itself and of the sign-in. */
const claimsOfTokens = [
  'iss',
  'sub',
  'aud',
  'exp',
  'iat',
  'jti',
  'auth_time',
  'nonce',
  'acr',
  'amr',
  'at_hash',
  'sid',
]

/** OpenID Connect Discovery 1.0 §3. */
export const openidMetadata = (options: MetadataOptions) => ({
  ...oauthMetadata(options),
  userinfo_endpoint: `${options.issuer}/oauth/userinfo`,
  // RP-Initiated Logout §2.1, Back-Channel Logout §2.1.
  end_session_endpoint: `${options.issuer}/oauth/logout`,
  backchannel_logout_supported: true,
  backchannel_logout_session_supported: true,
  subject_types_supported: subjectTypes,
  userinfo_signing_alg_values_supported: signingAlgorithms,
  acr_values_supported: acrValues,
  claims_supported: [...claimsOfTokens, ...userClaims],
  claims_parameter_supported: true,
  // Initiating User Registration §4.
  prompt_values_supported: prompts,
})

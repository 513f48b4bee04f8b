/**
 * RFC 6749 §5.2 and §4.1.2.1, RFC 6750 §3.1: the errors a client can be told. The description is safe to
 * show; the cause goes to log and span only.
 */
import type { AuthorizationTarget } from './response-modes.ts'

/** Error codes by endpoint: what each may answer, and the label values of `authgate.oauth.errors`. */
export const oauthErrors = {
  '/oauth/authorize': [
    'invalid_request',
    'invalid_client',
    'invalid_redirect_uri',
    'unauthorized_client',
    'unsupported_response_type',
    'invalid_scope',
    'invalid_target',
    'invalid_request_object',
    'invalid_request_uri',
    'access_denied',
    'login_required',
    'interaction_required',
    'consent_required',
    'unmet_authentication_requirements',
    'registration_not_supported',
    'server_error',
    'temporarily_unavailable',
  ],
  '/oauth/par': [
    'invalid_request',
    'invalid_client',
    'unauthorized_client',
    'unsupported_response_type',
    'invalid_scope',
    'invalid_target',
    'invalid_request_object',
    'unmet_authentication_requirements',
    'registration_not_supported',
    'invalid_dpop_proof',
    'use_dpop_nonce',
    'server_error',
  ],
  '/oauth/token': [
    'invalid_request',
    'invalid_client',
    'invalid_grant',
    'invalid_scope',
    'unauthorized_client',
    'unsupported_grant_type',
    'invalid_target',
    'invalid_dpop_proof',
    'use_dpop_nonce',
    // RFC 8628 §3.5.
    'authorization_pending',
    'slow_down',
    'access_denied',
    'expired_token',
    'server_error',
  ],
  // RFC 7591 §3.2.2; the last but one is ours.
  '/oauth/register': [
    'invalid_request',
    'invalid_token',
    'invalid_redirect_uri',
    'invalid_client_metadata',
    'registration_not_supported',
    'server_error',
  ],
  '/oauth/introspect': ['invalid_request', 'invalid_client', 'server_error'],
  '/oauth/revoke': ['invalid_request', 'invalid_client', 'invalid_grant', 'server_error'],
  // The second is ours, for clients that know no other.
  '/oauth/tokeninfo': [
    'invalid_request',
    'missing_token',
    'invalid_token',
    'invalid_dpop_proof',
    'use_dpop_nonce',
    'server_error',
  ],
  '/oauth/userinfo': [
    'invalid_request',
    'invalid_token',
    'insufficient_scope',
    'invalid_dpop_proof',
    'use_dpop_nonce',
    'server_error',
  ],
  '/oauth/device/code': [
    'invalid_request',
    'invalid_client',
    'unauthorized_client',
    'invalid_scope',
    'invalid_target',
    'server_error',
  ],
} as const

export type OAuthEndpoint = keyof typeof oauthErrors
export type OAuthErrorCode = (typeof oauthErrors)[OAuthEndpoint][number]

const defaultStatus: Partial<Record<OAuthErrorCode, 401 | 403 | 500 | 503>> = {
  invalid_client: 401,
  invalid_token: 401,
  insufficient_scope: 403,
  registration_not_supported: 403,
  server_error: 500,
  temporarily_unavailable: 503,
}

export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 413 | 415 | 500 | 503

/** An error answered as the RFC says: JSON at the back-channel endpoints, a page in the browser. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: OAuthErrorCode
  readonly status: ErrorStatus

  constructor(
    code: OAuthErrorCode,
    description: string,
    options: { status?: ErrorStatus; cause?: unknown } = {},
  ) {
    super(description, { cause: options.cause })
    this.code = code
    this.status = options.status ?? defaultStatus[code] ?? 400
  }
}

/** An error that goes back to the client: its redirect URI has been validated (RFC 6749 §4.1.2.1). */
export class AuthorizationError extends OAuthError {
  readonly target: AuthorizationTarget
  /** Whether the browser may go there without its user's doing (RFC 9700 §4.11.2). */
  readonly atOnce: boolean

  constructor(
    code: OAuthErrorCode,
    description: string,
    target: AuthorizationTarget,
    options: { status?: ErrorStatus; cause?: unknown; atOnce?: boolean } = {},
  ) {
    super(code, description, options)
    this.target = target
    this.atOnce = options.atOnce ?? true
  }
}

/** Audits, logs and counts refusals from every endpoint (ASVS 5.0 §16.3.1 to §16.3.3). */
import type { AuditOrigin } from '#/domain/audit/audit.ts'
import type { RepeatedEvent, RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import type { OAuthEndpoint, OAuthError } from '#/protocol/errors.ts'
import { tokenExchangeGrantType } from '#/protocol/grant-types.ts'
import { ReplayedProofError } from '#/protocol/proofs.ts'
import type { RefusalKind } from '#/protocol/vocabulary.ts'
import type { Log } from '#/telemetry/log.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { widestNetworkOf } from './client-address.ts'
import type { AppContext } from './context.ts'

/** Of which request. */
interface Request {
  readonly repeatedEvents: RepeatedEvents
  readonly recorder: Recorder
  readonly log: Log
  readonly origin: AuditOrigin
  readonly now: Date
}

type Refused = Pick<RepeatedEvent, 'actor' | 'clientId' | 'details'>

const events: Readonly<Record<RefusalKind, Pick<RepeatedEvent, 'type' | 'details'>>> = {
  admin_access: { type: 'ACCESS_DENIED', details: { reason: 'not_an_administrator' } },
  cross_site_form: { type: 'FORM_REFUSED', details: { reason: 'cross_site' } },
  outdated_form: { type: 'FORM_REFUSED', details: { reason: 'outdated' } },
  current_password: { type: 'AUTHENTICATION_FAILURE', details: { reason: 'wrong_password' } },
  client_authentication: { type: 'CLIENT_AUTHENTICATION_FAILURE' },
  replayed_proof: { type: 'PROOF_REPLAYED' },
  grant: { type: 'TOKEN_REQUEST_REFUSED' },
  token_exchange: { type: 'TOKEN_REQUEST_REFUSED' },
  introspection: { type: 'INTROSPECTION_REFUSED', details: { reason: 'not_entitled' } },
  revocation: { type: 'REVOCATION_REFUSED' },
  registration_token: { type: 'REGISTRATION_REFUSED' },
  metrics_token: { type: 'METRICS_REFUSED', details: { reason: 'wrong_token' } },
}

/** Writes down and counts a request that was refused, once for each. */
export function noteRefusal(request: Request, kind: RefusalKind, refused: Refused = {}): void {
  request.recorder.requestRefused(kind)
  const { type, details } = events[kind]
  noteRepeated(request, { ...refused, type, details: { ...details, ...refused.details } })
}

/** Writes a failed sign-in down; what counts it is the caller's. */
export const noteFailedSignIn = (
  { var: request }: AppContext,
  { user, ...details }: { user: RepeatedEvent['actor']; reason: string; auth_source: string },
): void => noteRepeated(request, { type: 'AUTHENTICATION_FAILURE', actor: user, details })

function noteRepeated(
  { repeatedEvents, log, origin, now }: Request,
  event: Omit<RepeatedEvent, 'at' | 'success'>,
) {
  const network = widestNetworkOf(origin.ip ?? '')
  if (!repeatedEvents.note(origin, { ...event, at: now, success: false }, network)) return
  const { type, actor, clientId: client, details } = event
  log.info({ type, ...details, user: actor?.id, client, address: origin.ip }, 'refused')
}

/** `noteRefusal` with the signed-in user as actor. */
export const noteRefusedUser = (c: AppContext, kind: RefusalKind): void =>
  noteRefusal(c.var, kind, { actor: c.var.signedIn?.user })

/** The OAuth errors that are audited: failed authentication, and requests for what the client has no right to. */
export function noteOAuthError(
  c: AppContext,
  endpoint: OAuthEndpoint | undefined,
  error: OAuthError,
): void {
  const kind = kindOf(endpoint, error, c.var.grantType)
  if (!kind || !endpoint) return
  const { clientId, grantType } = c.var
  noteRefusal(c.var, kind, {
    ...(clientId !== undefined && { clientId }),
    details: { reason: error.code, endpoint, ...(grantType && { grant_type: grantType }) },
  })
}

function kindOf(
  endpoint: OAuthEndpoint | undefined,
  { code, cause }: OAuthError,
  grantType: string | undefined,
): RefusalKind | undefined {
  if (cause instanceof ReplayedProofError) return 'replayed_proof'
  // Clients do not authenticate at the authorization endpoint.
  if (code === 'invalid_client')
    return endpoint === '/oauth/authorize' ? undefined : 'client_authentication'
  if (endpoint === '/oauth/token') return kindOfGrant(code, grantType)
  if (endpoint === '/oauth/revoke' && code === 'invalid_grant') return 'revocation'
  if (endpoint === '/oauth/register' && code === 'invalid_token') return 'registration_token'
  return undefined
}

/** An exchange that is refused for its token is answered `invalid_request` (RFC 8693 §2.2.2). */
function kindOfGrant(code: string, grantType: string | undefined): RefusalKind | undefined {
  const isExchange = grantType === tokenExchangeGrantType
  if (isGrantRefusal.has(code)) return isExchange ? 'token_exchange' : 'grant'
  return isExchange && code === 'invalid_request' ? 'token_exchange' : undefined
}

const isGrantRefusal: ReadonlySet<string> = new Set([
  'invalid_grant',
  'unauthorized_client',
  'invalid_scope',
  'invalid_target',
])

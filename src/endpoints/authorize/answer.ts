/** The user's decision and the code that follows from it, each in one transaction that consumes the request. */
import type { Database } from '#/database/client.ts'
import { writeAudit } from '#/domain/audit/audit.ts'
import {
  codesFor,
  findRedeemableCode,
  issueAuthorizationCode,
} from '#/domain/authorization-codes/authorization-codes.ts'
import {
  type Answer,
  consumeAuthorizationRequest,
  type RequestedAuthorization,
} from '#/domain/authorization-requests/authorization-requests.ts'
import { grantConsent } from '#/domain/consents/consents.ts'
import { authenticationOf } from '#/protocol/authentication.ts'
import { consentScope } from '#/protocol/claims.ts'
import { AuthorizationError } from '#/protocol/errors.ts'
import { registeredRedirectUri } from '#/protocol/redirect-uri.ts'
import {
  sendToClient,
  showWayToClient,
} from '#/web/authorization-request/authorization-response.ts'
import { isVouchedFor } from '#/web/authorization-request/vouched.ts'
import type { AppContext } from '#/web/request/context.ts'
import { signedInUser } from '#/web/sessions/current-user.ts'
import type { AuthorizeOptions } from './options.ts'
import { ChangedClient, type PendingRequest, requireStored, type Stored } from './pending.ts'

/** Answers without a consent page. */
export async function answerAtOnce(
  c: AppContext,
  pending: PendingRequest,
  options: AuthorizeOptions,
) {
  const { db } = options
  const code = pending.stored
    ? await db.transaction(async (tx) => {
        await consumePending(tx, c, pending)
        return issueCode(tx, c, pending, options)
      })
    : await issueCode(db, c, pending, options)
  c.var.recorder.consentDecided('remembered')
  return sendCode(c, pending.request, code, options)
}

/** The request is used up, the consent saved and the code issued, or none of it. */
export async function approve(c: AppContext, pending: PendingRequest, options: AuthorizeOptions) {
  const { client, request } = pending
  const { user } = signedInUser(c)
  const { now, origin, recorder } = c.var
  const { granted, code } = await options.db.transaction(async (tx) => {
    await consumePending(tx, c, pending)
    const approval = { user, clientId: client.clientId, scope: consentScope(request), now }
    const saved = await grantConsent(tx, approval, origin)
    return { granted: saved, code: await issueCode(tx, c, pending, options) }
  })
  recorder.consentDecided('approved')
  if (granted) recorder.consentGranted('authorization_code')
  return sendCode(c, request, code, options)
}

export async function deny(
  c: AppContext,
  pending: PendingRequest,
  { db }: AuthorizeOptions,
): Promise<never> {
  const { now, origin } = c.var
  const { client, request } = pending
  const error = { code: 'access_denied', description: 'the user denied the request' } as const
  await db.transaction(async (tx) => {
    await consumePending(tx, c, pending, error)
    await writeAudit(tx, origin, {
      type: 'AUTHORIZATION_CODE_DENIED',
      at: now,
      success: false,
      actor: signedInUser(c).user,
      clientId: client.clientId,
      details: { scope: request.scope },
    })
  })
  c.var.recorder.consentDecided('denied')
  throw new AuthorizationError(error.code, error.description, request)
}

/** A request is answered once: of two answers, one gets through. */
export async function consumePending(
  db: Database,
  c: AppContext,
  { stored, request: { interaction } }: PendingRequest,
  error?: Answer['error'],
): Promise<void> {
  if (!stored) return
  const { now, signedIn } = c.var
  const answer = { sessionId: signedIn?.session.id, ...(error && { error }) }
  requireStored(
    await consumeAuthorizationRequest(db, { id: stored.id, interaction }, { answer, now }),
  )
}

/** Gives the answer again that was given a moment ago, and counts nothing; a code as long as it was not redeemed. */
export async function answerAgain(
  c: AppContext,
  { client, stored, request }: PendingRequest & { stored: Stored },
  { error }: Answer,
  options: AuthorizeOptions,
) {
  const { db, issuer, secrets } = options
  if (error) {
    const { code, description: error_description } = error
    const answer = { error: code, error_description, iss: issuer }
    const isDecided = code === 'access_denied' || isVouchedFor(client, options)
    return isDecided ? sendToClient(c, request, answer) : showWayToClient(c, request, answer)
  }
  const origin = { requestId: stored.id, sessionId: signedInUser(c).session.id }
  const code = requireStored(await findRedeemableCode(db, codesFor(origin, secrets), c.var.now))
  return sendToClient(c, request, { code, iss: issuer })
}

function issueCode(
  tx: Database,
  c: AppContext,
  { client, request, stored }: PendingRequest,
  { codeLifetimeMs: lifetimeMs, secrets }: AuthorizeOptions,
) {
  const { user, session } = signedInUser(c)
  const registeredUri = registeredRedirectUri(request.redirectUri, client.redirectUris)
  if (registeredUri === undefined) throw new ChangedClient()
  const grant = {
    request,
    registeredUri,
    user,
    sessionId: session.id,
    ...authenticationOf(session),
    announceEnd: client.backchannelLogoutUri !== null,
    lifetimeMs,
    now: c.var.now,
    code: stored && codesFor({ requestId: stored.id, sessionId: session.id }, secrets)[0],
  }
  return issueAuthorizationCode(tx, grant, c.var.origin)
}

/** RFC 6749 §4.1.2, with the issuer of RFC 9207. */
function sendCode(
  c: AppContext,
  request: RequestedAuthorization,
  code: string,
  { issuer }: AuthorizeOptions,
) {
  c.var.recorder.authorizationCode('issued')
  return sendToClient(c, request, { code, iss: issuer })
}

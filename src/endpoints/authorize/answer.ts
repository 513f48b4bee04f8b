/** What a user decided, and the code that follows from it: one transaction each, in which the request is used up. */
import type { Database } from '#/database/client.ts'
import { writeAudit } from '#/domain/audit/audit.ts'
import { issueAuthorizationCode } from '#/domain/authorization-codes/authorization-codes.ts'
import {
  consumeAuthorizationRequest,
  type RequestedAuthorization,
} from '#/domain/authorization-requests/authorization-requests.ts'
import { grantConsent } from '#/domain/consents/consents.ts'
import { authenticationOf } from '#/protocol/authentication.ts'
import { consentScope } from '#/protocol/claims.ts'
import { AuthorizationError } from '#/protocol/errors.ts'
import { sendToClient } from '#/web/authorization-response.ts'
import type { AppContext } from '#/web/context.ts'
import { signedInUser } from '#/web/current-user.ts'
import { type Pending, requireStored } from './pending.ts'
import type { AuthorizeOptions } from './routes.ts'

/** Nobody needs to be asked. */
export async function answerAtOnce(c: AppContext, pending: Pending, options: AuthorizeOptions) {
  const { db } = options
  const code = pending.stored
    ? await db.transaction(async (tx) => {
        await useUp(tx, c, pending)
        return issueCode(tx, c, pending, options)
      })
    : await issueCode(db, c, pending, options)
  c.var.recorder.consentDecided('remembered')
  return sendCode(c, pending.request, code, options)
}

/** The request is used up, the consent saved and the code issued, or none of it. */
export async function approve(c: AppContext, pending: Pending, options: AuthorizeOptions) {
  const { client, request } = pending
  const { user } = signedInUser(c)
  const { now, origin, recorder } = c.var
  const { granted, code } = await options.db.transaction(async (tx) => {
    await useUp(tx, c, pending)
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
  pending: Pending,
  { db }: AuthorizeOptions,
): Promise<never> {
  const { now, origin } = c.var
  const { client, request } = pending
  await db.transaction(async (tx) => {
    await useUp(tx, c, pending)
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
  throw new AuthorizationError('access_denied', 'the user said no', request)
}

/** A request is answered once: of two answers, one gets through. */
export async function useUp(db: Database, c: AppContext, { stored }: Pending): Promise<void> {
  if (stored) requireStored(await consumeAuthorizationRequest(db, stored.id, c.var.now))
}

function issueCode(
  tx: Database,
  c: AppContext,
  { client, request }: Pending,
  { codeLifetimeMs: lifetimeMs }: AuthorizeOptions,
) {
  const { user, session } = signedInUser(c)
  const grant = {
    request,
    user,
    sessionId: session.id,
    ...authenticationOf(session),
    announceEnd: client.backchannelLogoutUri !== null,
    lifetimeMs,
    now: c.var.now,
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

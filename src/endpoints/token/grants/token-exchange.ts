/**
 * RFC 8693, on behalf of a user: the client shows an access token of ours that it holds or was sent, and is given one
 * of its own. Nobody signs in, so there is no ID token, and no refresh token either.
 */
import { z } from 'zod'
import { type Exchange, exchangeToken } from '#/domain/tokens/exchange-token.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { tokenExchangeGrantType as grantType } from '#/protocol/grant-types.ts'
import { requireScope } from '#/protocol/scopes.ts'
import { defineGrant, type GrantContext } from '../grant.ts'
import { respond } from '../respond.ts'

/** RFC 8693 §3: our access tokens are both. */
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const tokenType = z.enum([accessTokenType, 'urn:ietf:params:oauth:token-type:jwt'])

const parameters = z.object({
  subject_token: z.string(),
  subject_token_type: tokenType,
  requested_token_type: tokenType.default(accessTokenType),
  actor_token: z.string().optional(),
  actor_token_type: z.string().optional(),
  scope: z.string().optional(),
})

export const tokenExchange = defineGrant({
  grantType,
  parameters,
  async issue(context, asked) {
    // RFC 8693 §5: otherwise anyone who finds a token could exchange it.
    if (context.client.type !== 'confidential')
      throw new OAuthError('unauthorized_client', 'public clients cannot exchange tokens')
    if (asked.actor_token !== undefined || asked.actor_token_type !== undefined)
      throw new OAuthError('invalid_request', 'the actor is the client; send no actor_token')
    const exchange = await tryToExchange(context, asked)
    context.recorder.tokenExchanged(exchange.result)
    // RFC 8693 §2.2.2: invalid_request, whatever is wrong with the token; and who has no part in it learns no more.
    if (exchange.result !== 'success')
      throw new OAuthError('invalid_request', 'this client cannot exchange the subject_token')
    const { access, user } = exchange
    const response = await respond(context, { grantType, access, user, idToken: false })
    return { ...response, issued_token_type: asked.requested_token_type }
  },
})

/** Counts what is refused by throwing, so that every request that names a token has one outcome. */
async function tryToExchange(
  context: GrantContext,
  { subject_token, scope }: z.output<typeof parameters>,
): Promise<Exchange> {
  const { db, client, dpopJkt, lifetimes, issuer, now, origin, resources, audiences } = context
  try {
    const words = scope === undefined ? undefined : requireScope(scope)
    // RFC 8693 §2.1: an audience is a target by another name.
    const targets = [...new Set([...(resources ?? []), ...audiences])]
    const presented = {
      token: subject_token,
      client,
      scope: words,
      targets: targets.length === 0 ? undefined : targets,
      dpopJkt,
      lifetimes,
      issuer,
      now,
    }
    return await exchangeToken(db, context.keys, { presented, origin })
  } catch (error) {
    if (error instanceof OAuthError) context.recorder.tokenExchanged('refused')
    throw error
  }
}

/** RFC 6749 §4.4: a client acts on its own behalf. No refresh token (§4.4.3), and no ID token, since there is no user. */
import { z } from 'zod'
import { issueClientToken } from '#/domain/tokens/issue-client-token.ts'
import { narrowResources, narrowScope } from '#/domain/tokens/narrow.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { requireScope, scopeWords, standardScopes } from '#/protocol/scopes.ts'
import { defineGrant } from '../grant.ts'
import { respond } from '../respond.ts'

const grantType = 'client_credentials'

export const clientCredentials = defineGrant({
  grantType,
  parameters: z.object({ scope: z.string().optional() }),
  async issue(context, { scope }) {
    const { db, client, clientTokenMs, dpopJkt, now, origin } = context
    // RFC 6749 §4.4: MUST only be used by confidential clients.
    if (client.type !== 'confidential')
      throw new OAuthError(
        'unauthorized_client',
        'public clients cannot use the client credentials grant',
      )
    const issue = {
      clientId: client.clientId,
      clientVersion: client.version,
      scope: machineScope(client.scope, scope),
      // RFC 8707 §2.2: without a wish, the token is for this server alone.
      resources: narrowResources(client.allowedResources, context.resources ?? []),
      dpopJkt,
      lifetimes: { ...context.lifetimes, accessMs: clientTokenMs },
      now,
    }
    const access = await issueClientToken(db, issue, origin)
    if (!access) throw new OAuthError('unauthorized_client', 'this client is not active')
    return respond(context, { grantType, access, user: undefined })
  },
})

/** Whatever speaks of a user is left out of what a client has by default, and refused when it is asked for. */
function machineScope(registered: string, asked: string | undefined): string {
  if (asked === undefined)
    return scopeWords(registered)
      .filter((word) => !isUserScope(word))
      .join(' ')
  const words = requireScope(asked)
  if (words.some(isUserScope))
    throw new OAuthError('invalid_scope', 'this scope needs a user, and this grant has none')
  return narrowScope(registered, words)
}

const isUserScope = (word: string) => (standardScopes as readonly string[]).includes(word)
